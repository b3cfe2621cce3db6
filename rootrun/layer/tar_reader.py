"""Reading a layer tar: entries and contents, from a stream, in one pass."""

from collections.abc import Iterator

from rootrun.errors import LayerError
from rootrun.layer import pax
from rootrun.layer.entry import DEVICE_TYPES, Entry, EntryPath, EntryType
from rootrun.layer.header import BLOCK_BYTES
from rootrun.layer.member import Member, read_member
from rootrun.layer.names import entry_path, symlink_target
from rootrun.layer.source import Readable, StreamSource

LATEST_S = (1 << 33) - 1
"""The latest time that an entry can have: what the 11 octal digits of ustar hold."""

_MAX_ID = (1 << 32) - 2  # -1 means "leave as it is" to chown(2)
_MAX_MAJOR, _MAX_MINOR = 0xFFF, 0xFFFFF  # dev_t inside Linux: 12 and 20 bits
_TYPES = {entry_type.value: entry_type for entry_type in EntryType}
_NO_XATTRS: dict[str, bytes] = {}


class TarReader:
    """Iterates over the entries of an uncompressed tar; each has to be read in its turn.

    Reads ahead: where the stream stands meanwhile means nothing, and at the end of
    the tar some of what follows it may be left in it. Raises LayerError for
    anything that is no tar, UnsafeEntryError for a name that leaves the rootfs.
    """

    def __init__(self, stream: Readable) -> None:
        self._source = StreamSource(stream)
        self._stored_left = 0
        self._padding = 0
        self._segments: Iterator[tuple[int, memoryview]] = iter(())
        self._pending: tuple[int, memoryview] | None = None
        self._position = self._size_bytes = 0

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries in their order; what was not read of one is skipped."""
        while (member := read_member(self._source)) is not None:
            body = member.body
            self._stored_left = body.stored_bytes
            self._padding = -body.stored_bytes % BLOCK_BYTES
            self._segments = self._stored(body.parts or [(0, body.stored_bytes)])
            self._pending, self._position, self._size_bytes = None, 0, body.size_bytes
            yield _entry(member)
            self._source.skip(self._stored_left)
            # The last padding may be missing: what counts is there.
            self._source.take(self._padding)

    def segments(self) -> Iterator[tuple[int, memoryview]]:
        """Yield (offset, content) of what the tar stores of the current entry.

        The offsets ascend; what lies between is a hole, ``size_bytes`` of the entry
        is the end. A piece has at most 1 MiB. Not to be mixed with ``read``.
        """
        return self._segments

    def read(self, size: int) -> bytes:
        """Return the next ``size`` bytes of the current entry, holes as zeros; fewer at its end."""
        pieces = []
        size = min(size, self._size_bytes - self._position)
        while size:
            piece = self._next_piece(size)
            pieces.append(piece)
            size -= len(piece)
            self._position += len(piece)
        return b"".join(pieces)

    def _next_piece(self, size: int) -> bytes:
        if self._pending is None:
            self._pending = next(self._segments, None)
        if self._pending is None:
            return bytes(size)
        offset, content = self._pending
        if offset > self._position:
            return bytes(min(size, offset - self._position))
        start = self._position - offset
        piece = bytes(content[start : start + size])
        if start + len(piece) == len(content):
            self._pending = None
        return piece

    def _stored(self, parts: list[tuple[int, int]]) -> Iterator[tuple[int, memoryview]]:
        for part_offset, length in parts:
            offset = part_offset
            for content in self._source.chunks(length):
                self._stored_left -= len(content)
                yield offset, content
                offset += len(content)


def _entry(member: Member) -> Entry:
    path = entry_path(member.name)
    entry_type = _TYPES[member.body.type_flag]
    return Entry(
        path=path,
        type=entry_type,
        mode=member.mode & 0o7777,
        uid=_owner(member.uid, path),
        gid=_owner(member.gid, path),
        mtime_s=min(max(member.mtime_s, 0), LATEST_S),
        size_bytes=member.body.size_bytes,
        link_target=_link_target(member, entry_type, path),
        rdev=_device_number(member, path) if entry_type in DEVICE_TYPES else (0, 0),
        xattrs=pax.xattrs(member.records) if member.records else _NO_XATTRS,
    )


def _link_target(member: Member, entry_type: EntryType, path: EntryPath) -> str:
    if entry_type is EntryType.SYMLINK:
        return symlink_target(member.link_name, of=path)
    if entry_type is EntryType.HARDLINK:
        return entry_path(member.link_name)
    return ""


def _owner(number: int, path: EntryPath) -> int:
    if -(1 << 31) <= number < -1:  # -2 is "nobody" to some systems, and 2^32-2 to Linux
        number += 1 << 32
    if not 0 <= number <= _MAX_ID:
        raise LayerError(f"read tar: {path!r}: has an impossible owner: {number}")
    return number


def _device_number(member: Member, path: EntryPath) -> tuple[int, int]:
    major, minor = member.rdev
    if not (0 <= major <= _MAX_MAJOR and 0 <= minor <= _MAX_MINOR):
        raise LayerError(f"read tar: {path!r}: has an impossible device number: {major}:{minor}")
    return major, minor
