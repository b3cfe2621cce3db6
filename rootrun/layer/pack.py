"""Packing changes into a layer tar, in one pass."""

import os
from collections.abc import Callable, Iterable

from rootrun.layer.content import data_of, has_holes
from rootrun.layer.diff import Change
from rootrun.layer.entry import EntryType
from rootrun.layer.header import USTAR, TarFormat
from rootrun.layer.tar_writer import TarWriter
from rootrun.namedtuple import NamedTuple

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PackedLayer(NamedTuple):
    """What went into a layer."""

    entry_count: int
    content_bytes: int  # of regular files

    def __str__(self) -> str:
        entries = "1 entry" if self.entry_count == 1 else f"{self.entry_count} entries"
        return f"{entries}, {self.content_bytes} bytes of files"


def pack_layer(
    changes: Iterable[Change],
    write: Callable[[bytes | memoryview], object],
    *,
    advance: Callable[[int], None],
    tar_format: TarFormat = USTAR,
    keeps_holes: bool = False,
) -> PackedLayer:
    """Write ``changes`` as a layer tar through ``write``; ``advance`` hears of bytes packed.

    With ``keeps_holes`` those of files are left out, by what is no part of ustar.
    Nothing of the run may be alive any more, or go on meanwhile: LayerError if a file became
    shorter.
    """
    writer = TarWriter(write, tar_format=tar_format)
    entry_count = content_bytes = 0
    for entry, directory_fd, name, _ in changes:
        entry_count += 1
        if entry.type is not EntryType.FILE or not entry.size_bytes:
            writer.add(entry)
            continue
        descriptor = os.open(name, _OPEN_FILE, dir_fd=directory_fd)
        try:
            if keeps_holes and has_holes(status := os.fstat(descriptor)):
                parts = [(start, end - start) for start, end in data_of(descriptor, status)]
                writer.add_sparse(entry, descriptor, parts)
            else:
                writer.add_file(entry, descriptor)
        finally:
            os.close(descriptor)
        content_bytes += entry.size_bytes
        advance(entry.size_bytes)
    writer.finish()
    return PackedLayer(entry_count, content_bytes)
