"""The outer tar of an image archive: base blobs, the new layer, then small members.

All offsets follow from the sizes of the base's blobs, so that a forked child can copy them
while the parent writes behind them: both write at offsets, to the same descriptor.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rootrun.image.blob_copy import copy_blob, verify_copy
from rootrun.image.compression import Compression
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput, WrittenLayer
from rootrun.image.output_file import OutputFile, require_space, writing
from rootrun.layer.entry import Entry, EntryPath, EntryType
from rootrun.layer.header import BLOCK_BYTES, header_bytes

_MTIME_S = 1
_MAX_OCTAL = 0o77777777777
_SIZE_FIELD = slice(124, 136)
_CHECKSUM_FIELD = slice(148, 156)


class ArchiveBody:
    """The content of the archive in ``output``; ``base`` without repetitions.

    ``directories`` are its first members, each one's parent before it.
    """

    def __init__(
        self,
        output: OutputFile,
        base: list[Layer],
        *,
        compression: Compression,
        directories: tuple[str, ...] = (),
    ) -> None:
        self._output = output
        self._base = base
        self._compression = compression
        self._offsets: list[int] = []
        self._end = 0
        for name in directories:
            self._write_header(_directory(name), self._end)
            self._end += BLOCK_BYTES
        for layer in base:
            self._offsets.append(self._end + BLOCK_BYTES)
            self._end += BLOCK_BYTES + _padded(layer.blob.size_bytes)
        require_space(output.directory, self._end, target=output.target)
        self._layer_start = self._end

    def write_base(self, is_verified: Callable[[Layer], bool]) -> None:
        """Copy the base's blobs; verify those of which nobody knows that they are right."""
        for layer, offset in zip(self._base, self._offsets, strict=True):
            with writing(self._output.target):
                copy_blob(layer.blob, into=self._output.descriptor, at=offset)
            if not is_verified(layer):
                verify_copy(layer, self._output.path, offset=offset)

    @contextmanager
    def new_layer(self) -> Iterator[LayerOutput]:
        """Open the new layer for writing, behind the base."""
        start = self._layer_start + BLOCK_BYTES
        layer = LayerOutput(self._output.write_at, start, self._compression)
        yield layer
        written = layer.finish()
        self._end = self._layer_start + BLOCK_BYTES + _padded(written.size_bytes)

    def drop_new_layer(self) -> None:
        """Take the new layer out again: the base has it already."""
        self._end = self._layer_start
        with writing(self._output.target):
            os.ftruncate(self._output.descriptor, self._end)

    def name_base(self, index: int, name: str) -> None:
        """Write the header of a blob of the base."""
        size_bytes = self._base[index].blob.size_bytes
        self._write_header(_member(name, size_bytes), self._offsets[index] - BLOCK_BYTES)

    def name_new_layer(self, name: str, written: WrittenLayer) -> None:
        """Write the header of the new layer."""
        self._write_header(_member(name, written.size_bytes), self._layer_start)

    def add(self, name: str, content: bytes) -> None:
        """Append a member; the new layer must be written, or never will be."""
        self._write_header(_member(name, len(content)), self._end)
        self._output.write_at(content, self._end + BLOCK_BYTES)
        self._end += BLOCK_BYTES + _padded(len(content))

    def add_symlink(self, name: str, target: str) -> None:
        """Append a member that is a symlink."""
        self._write_header(_member(name, 0, link_target=target), self._end)
        self._end += BLOCK_BYTES

    def finish(self) -> None:
        """Write the two zero blocks and bring all to the disk."""
        with writing(self._output.target):
            os.ftruncate(self._output.descriptor, self._end + 2 * BLOCK_BYTES)
            self._output.sync()

    def _write_header(self, entry: Entry, offset: int) -> None:
        self._output.write_at(member_header(entry), offset)


def member_header(entry: Entry) -> bytes:
    """Return the header of a member, always one block, so that offsets do not depend on sizes.

    A size that ustar cannot say is a base-256 number, as GNU tar writes it and
    all readers know it, where a layer's own entries have a PAX record.
    """
    if entry.size_bytes <= _MAX_OCTAL:
        return header_bytes(entry)
    block = bytearray(header_bytes(replace(entry, size_bytes=0)))
    block[_SIZE_FIELD] = b"\x80" + entry.size_bytes.to_bytes(11, "big")
    block[_CHECKSUM_FIELD] = b" " * 8
    block[_CHECKSUM_FIELD] = b"%06o\0 " % sum(block)
    return bytes(block)


def _member(name: str, size_bytes: int, *, link_target: str = "") -> Entry:
    return Entry(
        path=EntryPath(name),
        type=EntryType.SYMLINK if link_target else EntryType.FILE,
        mode=0o777 if link_target else 0o644,
        mtime_s=_MTIME_S,
        size_bytes=size_bytes,
        link_target=link_target,
    )


def _directory(name: str) -> Entry:
    return Entry(path=EntryPath(name), type=EntryType.DIRECTORY, mode=0o755, mtime_s=_MTIME_S)


def _padded(size_bytes: int) -> int:
    return size_bytes + -size_bytes % BLOCK_BYTES
