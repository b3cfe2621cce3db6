"""One member of a tar: its header together with the extended headers before it."""

from collections.abc import Mapping

from rootrun.errors import LayerError
from rootrun.layer import pax, sparse
from rootrun.layer.header import BLOCK_BYTES, ZERO_BLOCK, Header, parse_header
from rootrun.layer.source import Source, truncated
from rootrun.namedtuple import NamedTuple

DIRECTORY_FLAG = b"5"
FILE_FLAG = b"0"
# '\0' is a file of a time before ustar, '7' a contiguous one, 'S' a sparse one of old GNU.
_FILE_FLAGS = frozenset({FILE_FLAG, b"\0", b"7", b"S"})
# Links, devices, directories and fifos have no content, whatever size they state (Go, GNU).
_BODILESS_FLAGS = frozenset(b"123456"[i : i + 1] for i in range(6))
_DUMP_DIRECTORY_FLAG = b"D"  # GNU: a directory whose content lists names
# GNU volume label, old long names, and star's inode metadata: nothing that a layer keeps.
_SKIPPED_FLAGS = frozenset({b"V", b"N", b"I"})


class Body(NamedTuple):
    """What follows a member's headers: ``stored_bytes`` in the tar, then padding.

    ``type_flag`` is one of ``0`` to ``6``. ``size_bytes`` is the file's own size,
    which is another than what is stored only for a sparse file (of which ``parts``
    are stored) and for GNU's directories with a list of names.
    """

    type_flag: bytes
    stored_bytes: int
    size_bytes: int
    parts: sparse.SparseMap | None = None


class Member(NamedTuple):
    """A member as its header and its extended headers have it, unchecked."""

    name: bytes
    link_name: bytes
    body: Body
    mode: int
    uid: int
    gid: int
    mtime_s: int
    rdev: tuple[int, int]
    records: Mapping[bytes, bytes]


_NO_RECORDS: Mapping[bytes, bytes] = {}


class _Extended:
    """What the extended headers before a member say."""

    def __init__(self) -> None:
        self.records: Mapping[bytes, bytes] = _NO_RECORDS
        self.name = b""
        self.link_name = b""
        self.is_given = False

    def take(self, header: Header, source: Source) -> None:
        self.is_given = True
        content = _take_record(header, source)
        if header.type_flag == b"x":
            self.records = pax.parse_records(content)
        elif header.type_flag == b"L":
            self.name = content.partition(b"\0")[0]
        else:
            self.link_name = content.partition(b"\0")[0]


def read_member(source: Source) -> Member | None:
    """Take the headers of the next member; None at the end of the tar.

    The end is two zero blocks, or the end of the source between members. Raises
    LayerError for what is no tar.
    """
    return read_member_from(take_block(source), source)


def read_member_from(block: bytes | None, source: Source) -> Member | None:
    """Do the same where the member's first header, ``block``, has been taken already."""
    extended = _Extended()
    while block is not None:
        header = parse_header(block)
        if header.type_flag in (b"x", b"L", b"K"):
            extended.take(header, source)
        elif header.type_flag == b"g" or header.type_flag in _SKIPPED_FLAGS:
            if extended.is_given:
                # To Go what came before is of this header, to others still of the next file.
                raise LayerError("read tar: header: a global one between those of an entry")
            # Global records are ignored, as docker does: they could rename every file.
            source.skip(padded(_record_size(header)))
        else:
            return _merge(header, extended, block=block, source=source)
        block = take_block(source)
    if extended.is_given:
        raise truncated()
    return None


def padded(size_bytes: int) -> int:
    """Return the bytes that content of ``size_bytes`` takes in a tar: whole blocks."""
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def take_block(source: Source) -> bytes | None:
    """Take the next header; None where the tar ends. Raises LayerError where it cannot end."""
    block = source.take(BLOCK_BYTES)
    if block == ZERO_BLOCK:
        if source.take(BLOCK_BYTES) not in (ZERO_BLOCK, b""):
            raise LayerError("read tar: header: a lone block of zeros")
        return None
    if not block:
        return None
    if len(block) < BLOCK_BYTES:
        raise truncated()
    return block


def _take_record(header: Header, source: Source) -> bytes:
    size = _record_size(header)
    if size > pax.MAX_RECORDS_BYTES:
        raise LayerError(f"read tar: extended header: has {size} bytes: more than 1 MiB")
    content = source.take(padded(size))
    if len(content) < size:
        raise truncated()
    return content[:size]


def _record_size(header: Header) -> int:
    if header.size_bytes < 0:
        raise LayerError("read tar: extended header: has a negative size")
    return header.size_bytes


def _merge(header: Header, extended: _Extended, *, block: bytes, source: Source) -> Member:
    records = extended.records
    name = extended.name or records.get(b"path") or header.name
    body = _plain_body(header, records, name)
    if header.type_flag == b"S":
        body = _old_sparse_body(body, block, source)
    elif records and body.type_flag == FILE_FLAG:
        body = _pax_sparse_body(body, records, source)
        if body.parts is not None:
            name = records.get(b"GNU.sparse.name", name)
    mtime = pax.seconds(records, b"mtime")
    return Member(
        name=name,
        link_name=extended.link_name or records.get(b"linkpath") or header.link_name,
        body=body,
        mode=header.mode,
        uid=_number(records, b"uid", header.uid),
        gid=_number(records, b"gid", header.gid),
        mtime_s=header.mtime_s if mtime is None else mtime,
        rdev=header.rdev,
        records=records,
    )


def _plain_body(header: Header, records: Mapping[bytes, bytes], name: bytes) -> Body:
    flag = header.type_flag
    size = _number(records, b"size", header.size_bytes)
    if not 0 <= size <= pax.MAX_INTEGER:
        raise LayerError(f"read tar: {name[:80]!r}: has an impossible size: {size}")
    if flag == b"\0" and name.endswith(b"/"):  # how tars before ustar say a directory
        return Body(DIRECTORY_FLAG, 0, 0)
    if flag in _BODILESS_FLAGS:
        return Body(flag, 0, 0)
    if flag == _DUMP_DIRECTORY_FLAG:
        return Body(DIRECTORY_FLAG, size, 0)
    if flag in _FILE_FLAGS:
        return Body(FILE_FLAG, size, size)
    raise LayerError(f"read tar: {name[:80]!r}: has the type {flag!r}: not supported")


def _old_sparse_body(body: Body, block: bytes, source: Source) -> Body:
    parts, size = sparse.old_gnu_map(block, source)
    sparse.check_map(parts, size_bytes=size, stored_bytes=body.stored_bytes)
    return body._replace(size_bytes=size, parts=parts)


def _pax_sparse_body(body: Body, records: Mapping[bytes, bytes], source: Source) -> Body:
    stored = body.stored_bytes
    parts = sparse.pax_map(records)
    if parts is None:
        if not sparse.is_format_1(records):
            return body
        parts, taken = sparse.read_map(source, stored)
        stored -= taken
    size = _number(records, b"GNU.sparse.size", stored)
    size = _number(records, b"GNU.sparse.realsize", size)
    sparse.check_map(parts, size_bytes=size, stored_bytes=stored)
    return body._replace(stored_bytes=stored, size_bytes=size, parts=parts)


def _number(records: Mapping[bytes, bytes], key: bytes, default: int) -> int:
    value = pax.integer(records, key)
    return default if value is None else value
