"""Headers as GNU tar 1.34 writes them, in its own format (GNU tar manual, "Basic Tar Format").

Long names are members of their own, ``././@LongLink``, and numbers that octal digits cannot say
are in base 256.
"""

from rootrun.dataclass import replace
from rootrun.layer import pax
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType, name_bytes
from rootrun.layer.header import (
    BLOCK_BYTES,
    NAME_BYTES,
    TarFormat,
    extended_header,
    header_block,
)

_RECORD_BYTES = 20 * BLOCK_BYTES  # its blocking factor, unless told
_MAGIC = b"ustar  \0"
_MAGIC_FIELD = slice(257, 265)
_CHECKSUM_FIELD = slice(148, 156)
_UID_FIELD, _GID_FIELD = slice(108, 116), slice(116, 124)
_SIZE_FIELD, _MTIME_FIELD = slice(124, 136), slice(136, 148)
_LONG_NAME, _LONG_LINK = b"L", b"K"
_LONG = Entry(path=EntryPath("././@LongLink"), type=EntryType.FILE, mode=0o644)


def gnu_header_bytes(entry: Entry) -> bytes:
    """Return the blocks that precede the content of ``entry`` in an archive of ``tar -C ROOT .``.

    Owners other than root have no names. The format has no room for extended attributes: they are
    in a PAX header, without which they would be lost.
    """
    name = b"./" + name_bytes(entry.path)
    if entry.type is EntryType.DIRECTORY and entry.path != ROOT:
        name += b"/"
    link = name_bytes(entry.link_target)
    blocks = b""
    if entry.xattrs:
        blocks += extended_header(entry, pax.xattr_records(entry.xattrs))
    if len(link) > NAME_BYTES:
        blocks += _long(link, _LONG_LINK)
    if len(name) > NAME_BYTES:
        blocks += _long(name, _LONG_NAME)
    return blocks + _block(entry, name[:NAME_BYTES], link[:NAME_BYTES])


def with_large_numbers(block: bytes, entry: Entry) -> bytes:
    """Return a header of ``entry`` with the numbers that octal digits cannot say, in base 256."""
    changed = bytearray(block)
    for field, value in (
        (_UID_FIELD, entry.uid),
        (_GID_FIELD, entry.gid),
        (_SIZE_FIELD, entry.size_bytes),
        (_MTIME_FIELD, entry.mtime_s),
    ):
        width = field.stop - field.start
        if not 0 <= value < 1 << 3 * (width - 1):
            sign = 0x80 if value >= 0 else 0xFF
            changed[field] = bytes([sign]) + value.to_bytes(width - 1, "big", signed=value < 0)
    changed[_CHECKSUM_FIELD] = b" " * 8
    changed[_CHECKSUM_FIELD] = b"%06o\0 " % sum(changed)
    return bytes(changed)


def _block(entry: Entry, name: bytes, link: bytes, type_flag: bytes = b"") -> bytes:
    block = bytearray(header_block(entry, name=name, link=link, type_flag=type_flag))
    block[_MAGIC_FIELD] = _MAGIC
    return with_large_numbers(bytes(block), entry)


def _long(name: bytes, type_flag: bytes) -> bytes:
    content = name + b"\0"
    entry = replace(_LONG, size_bytes=len(content))
    block = _block(entry, name_bytes(entry.path), b"", type_flag)
    return block + content + bytes(-len(content) % BLOCK_BYTES)


GNU = TarFormat(gnu_header_bytes, _RECORD_BYTES)
