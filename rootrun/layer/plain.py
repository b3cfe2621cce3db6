"""The usual headers, read fast: a single block of ustar that has nothing unusual in it.

What is read here is read alike by the modules ``header`` and ``member``, which take several
times as long: they decide whatever is left to them.
"""

import struct

from rootrun.errors import LayerError
from rootrun.layer.entry import Entry, EntryType, make_entry
from rootrun.layer.header import is_checksum_right, parse_number
from rootrun.layer.names import entry_path, symlink_target
from rootrun.layer.pax import MAX_INTEGER

LATEST_S = (1 << 33) - 1
"""The latest time that an entry can have: what the 11 octal digits of ustar hold."""

MAX_ID = (1 << 32) - 2  # -1 means "leave as it is" to chown(2)

# name, mode, uid, gid, size, mtime, type flag, link name, magic and version, prefix, its end
_BLOCK = struct.Struct("100s 8s 8s 8s 12s 12s 8x c 100s 8s 80x 155s 8x 4s")
_USTAR = b"ustar\x0000"
_END_OF_STAR = b"tar\0"
_FILE, _SYMLINK, _HARDLINK = EntryType.FILE, EntryType.SYMLINK, EntryType.HARDLINK
_TYPES = {kind.value: kind for kind in (_FILE, _SYMLINK, _HARDLINK, EntryType.DIRECTORY)}
_NO_DEVICE = (0, 0)
_NO_XATTRS: dict[str, bytes] = {}
_KNOWN_LIMIT = 4096


class _Numbers(dict[bytes, int]):
    """The numbers that fields of headers say; the same few are in most of a tar."""

    def __missing__(self, field: bytes) -> int:
        if len(self) >= _KNOWN_LIMIT:
            self.clear()
        number = self[field] = parse_number(field)
        return number


class PlainHeaders:
    """Reads the headers of one tar."""

    def __init__(self) -> None:
        self._numbers = _Numbers()

    def entry(self, block: bytes) -> Entry | None:
        """Return the entry that ``block`` alone says, None if that takes a closer look."""
        found = _BLOCK.unpack(block)
        name, mode, uid, gid, size, mtime, flag, link, magic, prefix, end = found
        kind = _TYPES.get(flag)
        if kind is None or (prefix[0] and (magic != _USTAR or end == _END_OF_STAR)):
            return None
        numbers = self._numbers
        try:
            if not is_checksum_right(block):
                return None
            uid, gid, size, mtime = numbers[uid], numbers[gid], numbers[size], numbers[mtime]
            mode = numbers[mode] & 0o7777
        except LayerError:
            return None
        is_usual = 0 <= uid <= MAX_ID and 0 <= gid <= MAX_ID and 0 <= mtime <= LATEST_S
        if not is_usual or not 0 <= size <= MAX_INTEGER:
            return None
        if prefix[0]:
            name = prefix.partition(b"\0")[0] + b"/" + name
        path = entry_path(name.partition(b"\0")[0])
        target = ""
        if kind is not _FILE:
            size = 0
            if kind is _SYMLINK:
                target = symlink_target(link.partition(b"\0")[0], of=path)
            elif kind is _HARDLINK:
                target = entry_path(link.partition(b"\0")[0])
        return make_entry(path, kind, mode, uid, gid, mtime, size, target, _NO_DEVICE, _NO_XATTRS)
