"""Sparse files in a tar: which parts of a file are stored (GNU tar manual, "Sparse Formats").

Whatever a map claims, the work is bounded by the bytes that are in the archive.
"""

from collections.abc import Iterator, Mapping

from rootrun.errors import LayerError
from rootrun.layer import pax
from rootrun.layer.header import BLOCK_BYTES, parse_number
from rootrun.layer.source import Source, truncated

SparseMap = list[tuple[int, int]]
"""The stored parts of a file as (offset, length), in ascending order; the rest is holes."""

_EXTENSION_ENTRIES = 21
_HEADER_ENTRIES = 4
# No number of a map has more digits than 2^63; see pax.
_DIGITS = 20


def old_gnu_map(block: bytes, source: Source) -> tuple[SparseMap, int]:
    """Return the map and the whole size that an old GNU header (type ``S``) states.

    Takes the extension blocks that follow it from ``source``.
    """
    numbers = list(_numbers(block[386:482], _HEADER_ENTRIES))
    size_bytes = parse_number(block[483:495])
    is_extended = block[482] != 0
    blocks = 0
    while is_extended:
        blocks += 1
        extension = source.take(BLOCK_BYTES)
        if len(extension) < BLOCK_BYTES:
            raise truncated()
        if blocks * BLOCK_BYTES > pax.MAX_RECORDS_BYTES:
            raise _malformed("too long")
        numbers += _numbers(extension, _EXTENSION_ENTRIES)
        is_extended = extension[504] != 0
    return _pairs(numbers), size_bytes


def _numbers(field: bytes, count: int) -> Iterator[int]:
    for start in range(0, 24 * count, 24):
        if field[start] == 0:  # an unused entry ends the list
            return
        yield parse_number(field[start : start + 12])
        yield parse_number(field[start + 12 : start + 24])


def pax_map(records: Mapping[bytes, bytes]) -> SparseMap | None:
    """Return the map of formats 0.0 and 0.1, None if ``records`` hold none."""
    text = records.get(pax.SPARSE_MAP)
    if text is None:
        return None
    return _pairs([_integer(number) for number in text.split(b",")])


def is_format_1(records: Mapping[bytes, bytes]) -> bool:
    """Say whether the map stands before the content (format 1.0)."""
    version = (records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor"))
    return version == (b"1", b"0")


def read_map(source: Source, stored_bytes: int) -> tuple[SparseMap, int]:
    """Take the map of format 1.0 from the content; return it and the bytes that it took."""
    text = bytearray()
    newlines, wanted = 0, 1  # a line for the count of entries, then two lines for each
    while newlines < wanted:
        if len(text) + BLOCK_BYTES > min(stored_bytes, pax.MAX_RECORDS_BYTES):
            raise _malformed("too long")
        block = source.take(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES:
            raise truncated()
        text += block
        newlines += block.count(b"\n")
        if wanted == 1 and newlines:
            wanted = 1 + 2 * _integer(bytes(text[: text.index(b"\n")]))
    numbers = bytes(text).split(b"\n")[1:wanted]
    return _pairs([_integer(number) for number in numbers]), len(text)


def map_bytes(sparse_map: SparseMap) -> bytes:
    """Return the map as it stands before the content (format 1.0)."""
    numbers = [len(sparse_map), *(number for part in sparse_map for number in part)]
    text = b"".join(b"%d\n" % number for number in numbers)
    return text + bytes(-len(text) % BLOCK_BYTES)


def format_1_records(size_bytes: int) -> list[tuple[bytes, bytes]]:
    """Return what says that a map stands before the content of a file of ``size_bytes``."""
    return [
        (b"GNU.sparse.major", b"1"),
        (b"GNU.sparse.minor", b"0"),
        (b"GNU.sparse.realsize", b"%d" % size_bytes),
    ]


def check_map(sparse_map: SparseMap, *, size_bytes: int, stored_bytes: int) -> None:
    """Raise LayerError unless the parts are ascending, apart, inside a file and all stored."""
    if not 0 <= size_bytes <= pax.MAX_INTEGER:
        raise _malformed("a size that no file can have")
    position = total = 0
    for offset, length in sparse_map:
        if offset < position or length < 0 or offset + length > size_bytes:
            raise _malformed("parts overlap or lie beyond the end")
        position = offset + length
        total += length
    if total != stored_bytes:
        raise _malformed("another size than the stored content")


def _integer(text: bytes) -> int:
    if not text.isdigit() or len(text) > _DIGITS:
        raise _malformed(f"not a number: {text[:_DIGITS]!r}")
    return int(text)


def _pairs(numbers: list[int]) -> SparseMap:
    if len(numbers) % 2:
        raise _malformed("a part without a length")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _malformed(why: str) -> LayerError:
    return LayerError(f"read tar: map of a sparse file: {why}")
