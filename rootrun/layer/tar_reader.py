"""Reading a layer tar: entries and contents, from a stream, in one pass."""

from collections.abc import Iterator

from rootrun.errors import LayerError
from rootrun.layer import pax
from rootrun.layer.entry import DEVICE_TYPES, Entry, EntryPath, EntryType
from rootrun.layer.header import BLOCK_BYTES
from rootrun.layer.member import Member, read_member_from, take_block
from rootrun.layer.names import entry_path, symlink_target
from rootrun.layer.plain import LATEST_S, MAX_ID, PlainHeaders
from rootrun.layer.source import Readable, StreamSource
from rootrun.layer.sparse import SparseMap

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
        self._plain = PlainHeaders()
        self._stored_left = 0
        self._parts: SparseMap | None = None
        self._segments: Iterator[tuple[int, memoryview]] | None = None
        self._pending: tuple[int, memoryview] | None = None
        self._position = self._size_bytes = 0

    def __iter__(self) -> Iterator[Entry]:
        """Yield the entries in their order; what was not read of one is skipped."""
        source = self._source
        while (block := take_block(source)) is not None:
            entry = self._plain.entry(block)
            if entry is not None:
                self._parts, self._stored_left = None, entry.size_bytes
            elif (member := read_member_from(block, source)) is not None:
                entry = _entry(member)
                self._parts, self._stored_left = member.body.parts, member.body.stored_bytes
            else:
                return
            padding = -self._stored_left % BLOCK_BYTES
            self._segments = self._pending = None
            self._position, self._size_bytes = 0, entry.size_bytes
            yield entry
            if self._stored_left:
                source.skip(self._stored_left)
            if padding:  # The last one may be missing: what counts is there.
                source.skip_padding(padding)

    def whole(self) -> memoryview | None:
        """Take the whole content of the current entry, if it is here already; else nothing.

        That is so for most: contents that are small and have no holes. Good until the
        next entry is asked for.
        """
        if self._parts is not None:
            return None
        content = self._source.at_hand(self._stored_left)
        if content is not None:
            self._stored_left = 0
        return content

    def segments(self) -> Iterator[tuple[int, memoryview]]:
        """Yield (offset, content) of what the tar stores of the current entry.

        The offsets ascend; what lies between is a hole, ``size_bytes`` of the entry
        is the end. A piece has at most 1 MiB. Not to be mixed with ``read``.
        """
        if self._segments is None:
            self._segments = self._stored(self._parts or [(0, self._stored_left)])
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
            self._pending = next(self.segments(), None)
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
    if not 0 <= number <= MAX_ID:
        raise LayerError(f"read tar: {path!r}: has an impossible owner: {number}")
    return number


def _device_number(member: Member, path: EntryPath) -> tuple[int, int]:
    major, minor = member.rdev
    if not (0 <= major <= _MAX_MAJOR and 0 <= minor <= _MAX_MINOR):
        raise LayerError(f"read tar: {path!r}: has an impossible device number: {major}:{minor}")
    return major, minor
