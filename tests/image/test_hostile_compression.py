"""Compressed streams that attack the reader: bombs, and members, fields and ends made to cost."""

import gzip
import io
import struct
import time
import zlib
from pathlib import Path

import pytest

from rootrun.errors import ImageError
from rootrun.image.compression import Compression, open_decompressed
from tests.support.images import compressed
from tests.support.program import run_python

CONTENT = b"content"
KINDS = [Compression.GZIP, Compression.ZSTD, Compression.BZIP2, Compression.XZ]

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.value)


class _Dribble(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 1 + self.tell() % 5))


def _read(blob: bytes, kind: Compression, *, buffer_bytes: int = 1 << 16) -> bytes:
    stream = open_decompressed(io.BytesIO(blob), kind, where="blob")
    return io.BufferedReader(stream, buffer_bytes).read()


def _gzip(flags: int, fields: bytes = b"", *, size: int = len(CONTENT)) -> bytes:
    """Return a member with the header ``fields`` that ``flags`` announce (RFC 1952, 2.3)."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = deflate.compress(CONTENT) + deflate.flush()
    header = b"\x1f\x8b\x08" + bytes([flags]) + bytes(6) + fields
    return header + body + struct.pack("<II", zlib.crc32(CONTENT), size)


@kinds
def test_stream_of_nothing_but_empty_members_is_refused_soon(kind: Compression) -> None:
    member = compressed(b"", kind.value)
    started = time.process_time()
    with pytest.raises(ImageError, match="nothing but empty members"):
        _read(member * ((2 << 20) // len(member)), kind)
    assert time.process_time() - started < 1


@kinds
@pytest.mark.parametrize("buffer_bytes", [1, 7, 1 << 20])
def test_members_of_every_size_are_told_apart(kind: Compression, buffer_bytes: int) -> None:
    """What a decoder did not use is found again, wherever its pieces ended."""
    sizes = (1, 0, 900, 0, 0, 5000, 1, 200_000)
    contents = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
    blob = b"".join(compressed(content, kind.value) for content in contents)
    assert _read(blob, kind, buffer_bytes=buffer_bytes) == b"".join(contents)
    dribble = open_decompressed(_Dribble(blob), kind, where="blob")
    assert io.BufferedReader(dribble, 1 << 16).read() == b"".join(contents)


def test_zeros_between_members_of_gzip_are_passed_over() -> None:
    member = gzip.compress(CONTENT)
    for count in (1, 1023, 1024, 1025, 300_000):
        assert _read(member + bytes(count) + member, Compression.GZIP) == CONTENT * 2


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        (1, b""),
        (2, struct.pack("<H", zlib.crc32(_gzip(2)[:10]) & 0xFFFF)),
        (4, b"\xff\xff" + b"e" * 65535),
        (8, b"n" * (3 << 20) + b"\0"),
        (16, b"c" * 300_000 + b"\0"),
        (28, b"\x02\x00ee" + b"n\0" + b"c\0"),
    ],
    ids=["text", "crc", "extra", "name", "comment", "all"],
)
def test_fields_of_a_gzip_header_are_passed_over(flags: int, fields: bytes) -> None:
    assert _read(_gzip(flags, fields), Compression.GZIP) == CONTENT


@pytest.mark.parametrize(
    "blob",
    [
        _gzip(2, b"xx"),
        _gzip(0, size=len(CONTENT) + 1),
        b"\x1f\x8b\x07" + _gzip(0)[3:],
        _gzip(8, b"n" * (8 << 20))[:-20],
    ],
    ids=["crc-of-header", "length", "method", "endless-name"],
)
def test_gzip_that_lies_is_refused_soon(blob: bytes) -> None:
    started = time.process_time()
    with pytest.raises(ImageError, match=r"gzip data (is damaged|ends too early)"):
        _read(blob, Compression.GZIP)
    assert time.process_time() - started < 1


def test_window_of_zstd_that_takes_gigabytes_is_refused() -> None:
    # RFC 8878, 3.1.1: no single segment, and a window descriptor of 2^(10+31) bytes.
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\xf8" + b"\x01\x00\x00"
    with pytest.raises(ImageError, match="zstd data is damaged"):
        _read(frame, Compression.ZSTD)


_MEASURE = """
import io, sys
from rootrun.image.compression import Compression, open_decompressed
blob = sys.stdin.buffer.read()
def read(blob):
    stream = open_decompressed(io.BytesIO(blob), Compression("{kind}"), where="bomb")
    buffer, total = bytearray(1 << 20), 0
    while count := stream.readinto(buffer):
        total += count
    return total
size = read(blob)
status = open("/proc/self/status").read()
# Not ru_maxrss: that of a child begins with what its parent had (execve keeps it).
print(size, status.partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.slow
@kinds
def test_bomb_of_a_gibibyte_takes_little_memory(kind: Compression, tmp_path: Path) -> None:
    """As members of 64 MiB each, because making one bomb takes longer than reading it."""
    bomb = compressed(bytes(64 << 20), kind.value) * 16
    assert len(bomb) < 2 << 20
    result = run_python(_MEASURE.format(kind=kind.value), cwd=tmp_path, stdin=bomb)
    assert result.returncode == 0, result.stderr.decode()
    size_bytes, peak_kib = map(int, result.stdout.split())
    assert size_bytes == 1 << 30
    assert peak_kib < 64 << 10
