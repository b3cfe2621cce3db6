"""CRC-32 of contents, with holes in time that does not depend on their size."""

import os
import zlib
from collections.abc import Callable

from rootrun.layer.content import data_of

_CHUNK_BYTES = 1 << 20
_ZEROS_AT_ONCE = 1 << 16
_ALL_ONES = 0xFFFFFFFF

# zlib takes 4 GB a second, isal twenty times as many; but to import it takes 2 ms.
_SMALL_BYTES = 1 << 10
_WORTH_AN_IMPORT_BYTES = 8 << 20

_Crc = Callable[[bytes | memoryview, int], int]
_operators: list[list[int]] = []


class _Fastest:
    """The library for large contents: isal, where it is installed and has paid for itself."""

    def __init__(self) -> None:
        self._crc32: _Crc = zlib.crc32
        self._waiting_bytes = _WORTH_AN_IMPORT_BYTES

    def crc32(self, content: bytes | memoryview, crc: int) -> int:
        if self._waiting_bytes > 0:
            self._waiting_bytes -= len(content)
            if self._waiting_bytes <= 0:
                self._crc32 = _of_isal()
        return self._crc32(content, crc)


def _of_isal() -> _Crc:
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.crc32
    crc32: _Crc = isal_zlib.crc32
    return crc32


_fastest = _Fastest()


def crc32(content: bytes | memoryview, crc: int = 0) -> int:
    """Return the CRC of a content whose CRC is ``crc``, followed by ``content``."""
    if len(content) < _SMALL_BYTES:
        return zlib.crc32(content, crc)
    return _fastest.crc32(content, crc)


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
