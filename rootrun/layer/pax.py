"""PAX extended headers: records of ``LENGTH KEY=VALUE`` (POSIX.1-2017, pax, "pax Header Block")."""

import os
from collections.abc import Iterator, Mapping

from rootrun.errors import LayerError

MAX_RECORDS_BYTES = 1 << 20
"""The most that one extended header or GNU long name may hold, as in Go's archive/tar."""

XATTR_PREFIX = b"SCHILY.xattr."
SPARSE_MAP = b"GNU.sparse.map"
MAX_INTEGER = (1 << 63) - 1

_NAMES = frozenset({b"path", b"linkpath", b"GNU.sparse.name"})
_SPARSE_PAIR = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
# No number that fits in 64 bits has more digits; int() of a longer text is quadratic.
_MAX_DIGITS = 20


def parse_records(content: bytes) -> dict[bytes, bytes]:
    """Return the records of one extended header; the last one of a key wins.

    An empty value means that the ustar header's own holds, so its key is left
    out; but an extended attribute can be empty. The repeated offset and size
    records of GNU sparse format 0.0 come as one ``GNU.sparse.map``, which is how
    format 0.1 writes them. Raises LayerError if anything but whole records is there.
    """
    records: dict[bytes, bytes] = {}
    sparse: list[bytes] = []
    for key, value in _split(content):
        if key in _SPARSE_PAIR:
            if key != _SPARSE_PAIR[len(sparse) % 2]:
                raise _malformed(key)
            sparse.append(value)
        elif value or key.startswith(XATTR_PREFIX):
            records[key] = value
        else:
            records.pop(key, None)
    if len(sparse) % 2:
        raise _malformed(_SPARSE_PAIR[0])
    if sparse:
        records[SPARSE_MAP] = b",".join(sparse)
    return records


def _split(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position < len(content):
        # A length of more than 7 digits is beyond MAX_RECORDS_BYTES.
        space = content.find(b" ", position, position + 8)
        digits = content[position:space] if space > 0 else b""
        if not digits.isdigit():
            raise _malformed(content[position : position + 20])
        end = position + int(digits)
        record = content[space + 1 : end - 1]
        key, equals, value = record.partition(b"=")
        if (
            end <= space
            or content[end - 1 : end] != b"\n"
            or not equals
            or not _is_valid(key, value)
        ):
            raise _malformed(content[position : position + 20])
        yield key, value
        position = end


def _is_valid(key: bytes, value: bytes) -> bool:
    return bool(key) and b"\0" not in (value if key in _NAMES else key)


def _malformed(what: bytes) -> LayerError:
    return LayerError(f"read tar: malformed extended header record: {what!r}")


def integer(records: Mapping[bytes, bytes], key: bytes) -> int | None:
    """Return the decimal value of ``key``, None without it; raise LayerError on anything else."""
    value = records.get(key)
    if value is None:
        return None
    if not _is_integer(value) or abs(int(value)) > MAX_INTEGER:
        raise _malformed(key)
    return int(value)


def seconds(records: Mapping[bytes, bytes], key: bytes) -> int | None:
    """Return the time in ``key`` rounded down to whole seconds, None without it."""
    value = records.get(key)
    if value is None:
        return None
    whole, _, fraction = value.partition(b".")
    if not _is_integer(whole) or not (fraction.isdigit() or not fraction):
        raise _malformed(key)
    is_below = whole.startswith(b"-") and fraction.strip(b"0") != b""
    return int(whole) - is_below


def _is_integer(text: bytes) -> bool:
    # By hand: to compile a pattern would be a part of the start of each run.
    digits = text.removeprefix(b"-")
    return digits.isdigit() and len(digits) <= _MAX_DIGITS


def xattrs(records: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Return the extended attributes among ``records`` under their full names."""
    return {
        os.fsdecode(_unescape(key[len(XATTR_PREFIX) :])): value
        for key, value in records.items()
        if key.startswith(XATTR_PREFIX)
    }


def xattr_records(attributes: Mapping[str, bytes]) -> list[tuple[bytes, bytes]]:
    """Return the records that say ``attributes``, sorted by the bytes of their names."""
    named = sorted((os.fsencode(name), value) for name, value in attributes.items())
    return [(XATTR_PREFIX + _escape(name), value) for name, value in named]


def _escape(name: bytes) -> bytes:
    # A key cannot hold "=": GNU tar writes it as %3D and % as %25. Go's reader undoes neither,
    # so only a name that cannot do without is escaped.
    if b"=" in name or b"%3D" in name or b"%25" in name:
        return name.replace(b"%", b"%25").replace(b"=", b"%3D")
    return name


def _unescape(name: bytes) -> bytes:
    return name.replace(b"%3D", b"=").replace(b"%25", b"%") if b"%" in name else name


def format_records(records: list[tuple[bytes, bytes]]) -> bytes:
    """Return ``records`` in their order, with ``hdrcharset=BINARY`` first if one is not UTF-8."""
    content = b"".join(_format(key, value) for key, value in records)
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return _format(b"hdrcharset", b"BINARY") + content
    return content


def _format(key: bytes, value: bytes) -> bytes:
    body = b" %b=%b\n" % (key, value)
    length = len(body) + len(str(len(body)))
    if len(str(length)) + len(body) != length:  # the digits of the length count, and grew
        length += 1
    return b"%d%b" % (length, body)
