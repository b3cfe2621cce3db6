"""Compressed streams: told by magic, checked, in flat memory; and the same bytes when written."""

import gzip
import io
import os
import sys
import tracemalloc

import pytest

from rootrun.errors import ImageError
from rootrun.image.compression import MAGIC_BYTES, Compression, open_decompressed, sniff
from tests.support.images import compressed

CONTENT = b"".join(b"line %d of a text that compresses\n" % n for n in range(20_000))
KINDS = [Compression.GZIP, Compression.ZSTD, Compression.BZIP2, Compression.XZ]

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.value)


@pytest.fixture(params=["isal", "zlib"])
def gzip_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)


def _read(blob: bytes, kind: Compression) -> bytes:
    stream = open_decompressed(io.BytesIO(blob), kind, where="blob")
    return io.BufferedReader(stream, 1 << 16).read()


@kinds
def test_stream_comes_out_as_it_went_in(kind: Compression) -> None:
    assert _read(compressed(CONTENT, kind.value), kind) == CONTENT


@kinds
def test_members_one_after_the_other_are_one_stream(kind: Compression) -> None:
    blob = compressed(CONTENT, kind.value) + compressed(b"and more", kind.value)
    assert _read(blob, kind) == CONTENT + b"and more"


@kinds
def test_kind_is_told_by_magic(kind: Compression) -> None:
    assert sniff(compressed(b"", kind.value)[:MAGIC_BYTES], where="blob") is kind
    assert sniff(compressed(b"x", kind.value)[:MAGIC_BYTES], where="blob") is kind


@pytest.mark.parametrize("head", [b"", b"etc/passwd", b"BZhello.tx", b"\x1f\x8b", b"\x2a"])
def test_what_only_looks_like_a_magic_number_is_none(head: bytes) -> None:
    assert sniff(head, where="blob") is Compression.NONE


@kinds
@pytest.mark.usefixtures("gzip_library")
def test_every_truncation_is_an_error(kind: Compression) -> None:
    blob = compressed(CONTENT[:2000], kind.value)
    for cut in (1, 4, len(blob) // 2, len(blob) - 1):
        with pytest.raises(ImageError, match=f"read image: blob: {kind.value} data"):
            _read(blob[:cut], kind)


@kinds
@pytest.mark.usefixtures("gzip_library")
def test_damage_is_an_error_or_changes_nothing(kind: Compression) -> None:
    blob = compressed(os.urandom(2000), kind.value)
    found = 0
    for position in range(12, len(blob), 97):
        damaged = bytearray(blob)
        damaged[position] ^= 0x10
        try:
            _read(bytes(damaged), kind)
        except ImageError:
            found += 1
    # zstd's command line adds a checksum, its library does not: the digests see what it misses.
    assert found or kind is Compression.ZSTD


@pytest.mark.usefixtures("gzip_library")
def test_wrong_checksum_of_gzip_is_an_error() -> None:
    blob = bytearray(gzip.compress(CONTENT))
    blob[-6] ^= 1
    with pytest.raises(ImageError, match="read image: blob: gzip data is damaged"):
        _read(bytes(blob), Compression.GZIP)


@pytest.mark.usefixtures("gzip_library")
@pytest.mark.parametrize("padding", [1, 512, 1 << 18])
def test_zeros_behind_gzip_are_allowed_and_junk_is_not(padding: int) -> None:
    blob = gzip.compress(CONTENT)
    assert _read(blob + bytes(padding), Compression.GZIP) == CONTENT
    with pytest.raises(ImageError, match="gzip data"):
        _read(blob + bytes(padding) + b"junk", Compression.GZIP)


def test_skippable_frames_of_zstd_are_skipped() -> None:
    frame = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"
    assert sniff(frame[:MAGIC_BYTES], where="blob") is Compression.ZSTD
    assert _read(frame + compressed(CONTENT, "zstd") + frame, Compression.ZSTD) == CONTENT


@kinds
@pytest.mark.usefixtures("gzip_library")
def test_bomb_takes_no_memory(kind: Compression) -> None:
    bomb = compressed(bytes(64 << 20), kind.value)
    stream = open_decompressed(io.BytesIO(bomb), kind, where="bomb")
    buffer = bytearray(1 << 20)
    tracemalloc.start()
    try:
        total = 0
        while count := stream.readinto(buffer):
            total += count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 64 << 20
    assert peak < 20 << 20  # the dictionary of xz alone is 8 MiB
