"""CRC-32 of contents, with holes in time that does not depend on their size."""

import os
from zlib import crc32

from rootrun.layer.content import data_of

_CHUNK_BYTES = 1 << 20
_ZEROS_AT_ONCE = 1 << 16
_ALL_ONES = 0xFFFFFFFF

_operators: list[list[int]] = []


def crc32_zeros(crc: int, count: int) -> int:
    """Return the CRC of a content whose CRC is ``crc``, followed by ``count`` zeros.

    A zero byte is a linear map of the CRC's 32 bits; the maps for 1, 2, 4, ...
    zeros are squares of each other (zlib's crc32_combine works the same way).
    """
    if count <= _ZEROS_AT_ONCE:
        return crc32(bytes(count), crc)
    state = crc ^ _ALL_ONES
    for power in range(count.bit_length()):
        if count >> power & 1:
            state = _applied(_operator(power), state)
    return state ^ _ALL_ONES


def _operator(power: int) -> list[int]:
    if not _operators:
        one = [crc32(b"\0", (1 << bit) ^ _ALL_ONES) ^ _ALL_ONES for bit in range(32)]
        _operators.append(one)
    while len(_operators) <= power:
        last = _operators[-1]
        _operators.append([_applied(last, column) for column in last])
    return _operators[power]


def _applied(operator: list[int], state: int) -> int:
    result = 0
    for column in operator:
        if state & 1:
            result ^= column
        state >>= 1
    return result


def crc_of_file(fd: int, status: os.stat_result) -> int:
    """Return the CRC of the content of ``fd``; its holes are not read."""
    crc = position = 0
    for start, end in data_of(fd, status):
        crc = crc32_zeros(crc, start - position)
        crc = _crc_of_part(fd, start, end, crc=crc)
        position = end
    return crc32_zeros(crc, status.st_size - position)


def _crc_of_part(fd: int, start: int, end: int, *, crc: int) -> int:
    while start < end:
        chunk = os.pread(fd, min(_CHUNK_BYTES, end - start), start)
        if not chunk:
            break  # shorter than it was: the caller's sum will tell
        crc = crc32(chunk, crc)
        start += len(chunk)
    return crc
