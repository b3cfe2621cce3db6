"""Sparse files: holes are made as holes, and maps that attack are refused."""

import io
import time
from pathlib import Path

import pytest

from rootrun.errors import LayerError
from rootrun.layer.tar_reader import TarReader
from tests.support.sparse import format_0, format_1, old_format
from tests.support.tarball import Member, file, hardlink, tarball
from tests.support.unpacking import unpack

_TEBIBYTE = 1 << 40


def test_hole_is_made_as_a_hole(tmp_path: Path) -> None:
    member = format_1([2, 1 << 20, 3, 1 << 30, 0], b"abc", size=1 << 30)
    unpacked = unpack(tmp_path, member, hardlink("second", "sparse"))
    status = unpacked.lstat("sparse")
    assert status.st_size == 1 << 30
    assert status.st_blocks * 512 < 1 << 20
    with (unpacked.root / "sparse").open("rb") as content:
        content.seek((1 << 20) - 1)
        assert content.read(5) == b"\0abc\0"


def test_huge_hole_takes_no_time(tmp_path: Path) -> None:
    started = time.process_time()
    unpacked = unpack(tmp_path, format_0(f"{_TEBIBYTE},3", b"end", size=_TEBIBYTE + 3))
    assert unpacked.lstat("sparse").st_size == _TEBIBYTE + 3
    assert time.process_time() - started < 2


def test_many_parts_are_read() -> None:
    parts = [(2 * n, 1) for n in range(1000)]
    for member in (
        old_format(parts, b"x" * 1000, size=2000),
        format_0(",".join(f"{2 * n},1" for n in range(1000)), b"x" * 1000, size=2000),
        format_1([1000, *(number for part in parts for number in part)], b"x" * 1000, size=2000),
    ):
        reader = TarReader(io.BytesIO(tarball(member, file("next"))))
        found = [(entry.path, reader.read(entry.size_bytes)) for entry in reader]
        assert found == [("sparse", b"x\0" * 1000), ("next", b"")]


def test_name_of_a_sparse_file_is_that_of_a_sparse_file_only() -> None:
    member = file("plain", b"abc", pax={"GNU.sparse.name": "sparse", "GNU.sparse.major": "1"})
    (entry,) = TarReader(io.BytesIO(tarball(member)))
    assert (entry.path, entry.size_bytes) == ("plain", 3)


@pytest.mark.parametrize(
    ("parts", "size", "stored"),
    [
        ([(0, 10), (5, 5)], 100, 15),
        ([(20, 5), (0, 5)], 100, 10),
        ([(90, 20)], 100, 20),
        ([(0, 10)], 5, 10),
        ([(0, 10)], 100, 9),
        ([(0, 10)], 100, 11),
        ([(0, (1 << 33) - 1)], 100, 5),
        ([((1 << 33) - 1, 5)], 100, 5),
    ],
    ids=["overlap", "order", "end", "size", "short", "long", "length", "offset"],
)
@pytest.mark.parametrize("form", ["old", "0.1", "1.0"])
def test_map_that_cannot_be_is_refused(
    form: str, parts: list[tuple[int, int]], size: int, stored: int
) -> None:
    numbers = [number for part in parts for number in part]
    content = b"x" * stored
    members: dict[str, Member | bytes] = {
        "old": old_format(parts, content, size=size),
        "0.1": format_0(",".join(map(str, numbers)), content, size=size),
        "1.0": format_1([len(parts), *numbers], content, size=size),
    }
    with pytest.raises(LayerError, match="map of a sparse file"):
        list(TarReader(io.BytesIO(tarball(members[form]))))


@pytest.mark.parametrize("size", [1 << 63, 1 << 90, -1], ids=["64 bits", "more", "negative"])
def test_size_that_no_file_can_have_is_refused(size: int) -> None:
    block = bytearray(old_format([], b"", size=0))
    block[483:495] = size.to_bytes(12, "big", signed=True)
    block[483] |= 0x80  # a base-256 number
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    with pytest.raises(LayerError, match="a size that no file can have"):
        list(TarReader(io.BytesIO(tarball(bytes(block)))))


@pytest.mark.parametrize(
    "text",
    ["", ",", "1", "1,2,3", "-1,5", "0,-5", "a,b", "0, 5", "9" * 5000 + ",1", "0,1,,", "0,0x5"],
    ids=lambda text: text[:8],
)
def test_map_of_junk_is_refused(text: str) -> None:
    pax = {"GNU.sparse.map": text or ",", "GNU.sparse.size": "100"}
    with pytest.raises(LayerError, match="map of a sparse file"):
        list(TarReader(io.BytesIO(tarball(file("f", b"12345", pax=pax)))))


@pytest.mark.parametrize(
    "text",
    [b"\n", b"-1\n", b"x\n", b"999999999999\n", b"1\n0\n", b"1" * 600, b"1\n-5\n5\n"],
    ids=["empty", "negative", "letter", "many", "short", "endless", "minus"],
)
def test_map_before_the_content_of_junk_is_refused(text: bytes) -> None:
    with pytest.raises(LayerError, match="map of a sparse file"):
        list(TarReader(io.BytesIO(tarball(format_1(text, b"", size=100)))))


def test_endless_maps_end_soon() -> None:
    started = time.process_time()
    endless = format_1(b"1000000\n" + b"0\n0\n" * 999_999, b"", size=100)
    blocks = old_format([(0, 0)] * 60_000, b"", size=100)
    for member in (endless, blocks):
        with pytest.raises(LayerError, match="too long"):
            list(TarReader(io.BytesIO(tarball(member))))
    assert time.process_time() - started < 2


def test_map_that_the_tar_ends_in_is_refused() -> None:
    tar = old_format([(0, 1)] * 30, b"x" * 30, size=100)[: 512 + 100]
    with pytest.raises(LayerError, match="truncated"):
        list(TarReader(io.BytesIO(tar)))
