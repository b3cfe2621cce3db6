"""The content of a tar of the host, as ``--copy`` brings it in."""

import os
from collections.abc import Iterable, Iterator

from rootrun.annotation import TypeVar
from rootrun.compose.copy_place import MakeNode, Placing
from rootrun.compose.copy_source import opened_tar
from rootrun.errors import ImageError, LayerError, UsageError
from rootrun.layer.attributes import kept_of, set_xattrs
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType, join
from rootrun.layer.nodes import write_segments
from rootrun.layer.tar_reader import TarReader
from rootrun.layer.whiteout import parse_marker
from rootrun.request import CopyIn

_Item = TypeVar("_Item")

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack_tar(copy: CopyIn, destination: EntryPath, placing: Placing) -> None:
    """Merge what the tar ``copy.source`` holds into ``destination``.

    What a layer would refuse is refused. So are devices, which nobody but the root of the machine
    makes, and whiteouts: a tar that is a layer belongs to an image. Raises UsageError.
    """
    what = f"--copy: {os.fspath(copy.source)!r}"
    try:
        with opened_tar(copy.source) as stream:
            reader = TarReader(stream)
            unpacker = _Unpacker(reader, destination, placing, what=what)
            for entry in _read(reader, what=what):
                unpacker.place(entry)
            stream.drain()  # a checksum of the compressor's is at the end
    except ImageError as error:
        why = str(error).removeprefix(f"read image: {copy.source}: ")
        raise UsageError(f"{what}: {why}") from error


def _read(items: Iterable[_Item], *, what: str) -> Iterator[_Item]:
    """Yield ``items``; what cannot be read of them is told of the tar, and not of the image."""
    try:
        yield from items
    except LayerError as error:
        raise UsageError(f"{what}: {error}") from error


class _Unpacker:
    """Places the entries of one tar."""

    def __init__(
        self, reader: TarReader, destination: EntryPath, placing: Placing, *, what: str
    ) -> None:
        self._reader = reader
        self._destination = destination
        self._placing = placing
        self._what = what
        self._files: set[EntryPath] = set()  # that the tar had so far: what hard links may name

    def place(self, entry: Entry) -> None:
        target = join(self._destination, entry.path) if entry.path else self._destination
        self._check(entry)
        if entry.type is EntryType.DIRECTORY:
            self._placing.directory(target, entry.mode)
        elif entry.type is EntryType.HARDLINK:
            self._placing.hardlink(target, join(self._destination, entry.link_target))
            self._files.add(entry.path)
        else:
            mode = None if entry.type is EntryType.SYMLINK else entry.mode
            self._placing.node(target, self._maker(entry), mode=mode)
            self._files.add(entry.path)

    def _check(self, entry: Entry) -> None:
        """Raise UsageError for what a layer may hold, and a copy may not."""
        try:
            is_marker = parse_marker(entry.path) is not None
        except LayerError:
            is_marker = True
        why = None
        if is_marker:
            why = "a whiteout: the tar is a layer of an image"
        elif entry.type in (EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE):
            why = "a device"
        elif entry.path == ROOT and entry.type is not EntryType.DIRECTORY:
            why = "changes the type of the destination"
        elif entry.type is EntryType.HARDLINK and entry.link_target not in self._files:
            why = f"a link to {entry.link_target!r:.200}, which is not before it in the tar"
        if why is not None:
            raise UsageError(f"{self._what}: {entry.path!r:.200}: {why}")

    def _maker(self, entry: Entry) -> MakeNode:
        def make(name: str, directory_fd: int) -> None:
            if entry.type is EntryType.SYMLINK:
                os.symlink(entry.link_target, name, dir_fd=directory_fd)
            elif entry.type is EntryType.FIFO:
                os.mkfifo(name, dir_fd=directory_fd)
            else:
                self._make_file(entry, name, directory_fd)

        return make

    def _make_file(self, entry: Entry, name: str, directory_fd: int) -> None:
        fd = os.open(name, _CREATE, 0o600, dir_fd=directory_fd)
        try:
            segments = _read(self._reader.segments(), what=self._what)
            write_segments(fd, segments, entry.size_bytes)
            if entry.xattrs:
                set_xattrs(fd, kept_of(entry))
        finally:
            os.close(fd)
