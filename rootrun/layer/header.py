"""One header block of a tar: read whatever dialect, write ustar with PAX where it must.

The layout is POSIX.1-2017 (pax, "ustar Interchange Format"); base-256 numbers and the
missing prefix of GNU headers are from the GNU tar manual, "Basic Tar Format".
"""

from collections.abc import Callable, Iterable
from zlib import adler32

from rootrun.errors import LayerError
from rootrun.layer import pax
from rootrun.layer.entry import DEVICE_TYPES, ROOT, Entry, EntryType, name_bytes
from rootrun.namedtuple import NamedTuple

BLOCK_BYTES = 512
ZERO_BLOCK = bytes(BLOCK_BYTES)

_OCTAL_DIGITS = b"01234567"
_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777
NAME_BYTES = 100
_PREFIX_BYTES = 155
_LAYOUT = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%bustar\x0000%b%b%b%b%b"


class Header(NamedTuple):
    """What one header block says, before any extended header is taken into account."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime_s: int
    type_flag: bytes
    link_name: bytes
    rdev: tuple[int, int]


def parse_header(block: bytes) -> Header:
    """Return what ``block``, one header of 512 bytes, says.

    Raises LayerError if the checksum is wrong or a number cannot be read.
    """
    if not is_checksum_right(block):
        raise LayerError("read tar: header: the checksum is wrong")
    type_flag = block[156:157]
    return Header(
        name=_name(block),
        mode=parse_number(block[100:108]),
        uid=parse_number(block[108:116]),
        gid=parse_number(block[116:124]),
        size_bytes=parse_number(block[124:136]),
        mtime_s=parse_number(block[136:148]),
        type_flag=type_flag,
        link_name=_text(block[157:257]),
        rdev=(parse_number(block[329:337]), parse_number(block[337:345]))
        if type_flag in {b"3", b"4"} and block[257:262] == b"ustar"
        else (0, 0),
    )


def is_checksum_right(block: bytes) -> bool:
    """Say whether a header has its own checksum; raise LayerError if it has no number there."""
    # Both sums are in use: old tars added chars that are signed on some machines (tar(5)).
    field = block[148:156]
    expected = parse_number(field)
    # The low half of an Adler-32 is 1 and the bytes, modulo 65521 (RFC 1950): up to 256 bytes
    # it is their sum. Adding up the bytes of each header takes six times as long.
    sums = (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2
    unsigned = sums - sum(field) + 8 * ord(" ")
    if expected == unsigned:
        return True
    rest = block[:148] + block[156:]
    return expected == unsigned - 256 * sum(byte >= 0x80 for byte in rest)


def _name(block: bytes) -> bytes:
    name = _text(block[:NAME_BYTES])
    # GNU headers ("ustar" and a space) keep times where ustar has the prefix.
    if block[345] and block[257:263] == b"ustar\0":
        # star's headers end in "tar" and keep times in the last bytes of the prefix.
        end = 476 if block[508:512] == b"tar\0" else 500
        return _text(block[345:end]) + b"/" + name
    if block[345] and block[257:265] == b"ustar  \0" and _is_prefix_of_old_go(block):
        return _text(block[345:500]) + b"/" + name
    return name


def _is_prefix_of_old_go(block: bytes) -> bool:
    # Go before 1.8, and so docker of 2016, wrote a prefix over the times of a GNU header. Go tells
    # it by times that are none, and so do we: names must be the same to both.
    try:
        parse_number(block[345:357])
        if block[357]:
            parse_number(block[357:369])
    except LayerError:
        return _text(block[345:500]).isascii()
    return False


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def parse_number(field: bytes) -> int:
    """Return the number in ``field``: octal digits, base-256, or 0 if it is blank."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ((1 << bits) - 1)
        return value - (1 << bits) if value >> (bits - 1) else value
    digits = field.strip(b" \0")
    if digits.strip(_OCTAL_DIGITS):
        digits = _text(digits).rstrip(b" ")
        if digits.strip(_OCTAL_DIGITS):
            raise LayerError(f"read tar: header: not an octal number: {field!r}")
    return int(digits, 8) if digits else 0


def header_bytes(entry: Entry, more: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the blocks that precede the content of ``entry``: PAX header if needed, and ustar.

    Depends on ``entry`` alone, and ``more`` records: equal entries have equal bytes.
    """
    name, prefix, records = _named(entry)
    records += more
    link = name_bytes(entry.link_target)
    if len(link) > NAME_BYTES:
        records.append((b"linkpath", link))
    for key, value, limit in (
        (b"size", entry.size_bytes, _MAX_OCTAL_11),
        (b"uid", entry.uid, _MAX_OCTAL_7),
        (b"gid", entry.gid, _MAX_OCTAL_7),
        (b"mtime", entry.mtime_s, _MAX_OCTAL_11),
    ):
        if not 0 <= value <= limit:
            records.append((key, b"%d" % value))
    records += pax.xattr_records(entry.xattrs)
    block = header_block(entry, name=name, prefix=prefix, link=link[:NAME_BYTES])
    return extended_header(entry, records) + block if records else block


def _named(entry: Entry) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    name = b"./" if entry.path == ROOT else name_bytes(entry.path)
    if entry.type is EntryType.DIRECTORY and entry.path != ROOT:
        name += b"/"
    if len(name) <= NAME_BYTES:
        return name, b"", []
    # The last byte may be a directory's slash, and what is left of it must not be empty.
    cut = name.rfind(b"/", 1, min(_PREFIX_BYTES + 1, len(name) - 1))
    if cut > 0 and len(name) - cut - 1 <= NAME_BYTES:
        return name[cut + 1 :], name[:cut], []
    return name[:NAME_BYTES], b"", [(b"path", name)]


def extended_header(entry: Entry, records: list[tuple[bytes, bytes]]) -> bytes:
    """Return the blocks of a PAX header of ``entry``."""
    content = pax.format_records(records)
    base = name_bytes(entry.path.rpartition("/")[2]) or b"."
    owner = Entry(
        path=ROOT, type=EntryType.FILE, mode=0o644, mtime_s=entry.mtime_s, size_bytes=len(content)
    )
    name = (b"PaxHeaders/" + base)[:NAME_BYTES]
    block = header_block(owner, name=name, type_flag=b"x")
    return block + content + bytes(-len(content) % BLOCK_BYTES)


def header_block(
    entry: Entry, *, name: bytes, prefix: bytes = b"", link: bytes = b"", type_flag: bytes = b""
) -> bytes:
    """Return one block of ustar for ``entry``; numbers that do not fit are 0.

    ``name`` and ``link`` are of at most ``NAME_BYTES``.
    """
    is_device = entry.type in DEVICE_TYPES
    major, minor = entry.rdev if is_device else (0, 0)
    block = _LAYOUT % (
        name.ljust(NAME_BYTES, b"\0"),
        entry.mode & 0o7777,
        _fitting(entry.uid, _MAX_OCTAL_7),
        _fitting(entry.gid, _MAX_OCTAL_7),
        _fitting(entry.size_bytes, _MAX_OCTAL_11),
        _fitting(entry.mtime_s, _MAX_OCTAL_11),
        type_flag or entry.type.value,
        link.ljust(NAME_BYTES, b"\0"),
        _owner_name(entry.uid),
        _owner_name(entry.gid),
        b"%07o\0" % major if is_device else bytes(8),
        b"%07o\0" % minor if is_device else bytes(8),
        prefix.ljust(BLOCK_BYTES - 345, b"\0"),
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _fitting(value: int, limit: int) -> int:
    # What does not fit stands in a PAX record, which wins; zero here is what Go writes too.
    return value if 0 <= value <= limit else 0


def _owner_name(number: int) -> bytes:
    return (b"root" if number == 0 else b"").ljust(32, b"\0")


class TarFormat(NamedTuple):
    """How a tar is written."""

    header_bytes: Callable[[Entry], bytes]  # what precedes the content of an entry
    record_bytes: int  # what the size of the whole is a multiple of


USTAR = TarFormat(header_bytes, BLOCK_BYTES)
