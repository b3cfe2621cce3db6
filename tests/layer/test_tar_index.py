"""Indexing a tar that is a file: where the content of each member is."""

import os
import tarfile
import time
from pathlib import Path

import pytest

from rootrun.errors import LayerError
from rootrun.layer.tar_index import TarMember, index_tar
from tests.support.tarball import TarFormat, directory, file, hardlink, padded, symlink, tarball


def _index(tmp_path: Path, tar: bytes) -> list[TarMember]:
    path = tmp_path / "archive"
    path.write_bytes(tar)
    fd = os.open(path, os.O_RDONLY)
    try:
        os.lseek(fd, 7, os.SEEK_SET)
        members = index_tar(fd, len(tar))
        assert os.lseek(fd, 0, os.SEEK_CUR) == 7
        return members
    finally:
        os.close(fd)


@pytest.mark.parametrize("tar_format", [0, 1, 2], ids=["ustar", "gnu", "pax"])
def test_contents_are_found(tmp_path: Path, tar_format: TarFormat) -> None:
    tar = tarball(
        directory("./d"), file("./d/a", b"1" * 600), file("/b", b"2"), file("c"),
        symlink("d/l", "../b"), hardlink("h", "/b"), tar_format=tar_format,
    )  # fmt: skip
    members = _index(tmp_path, tar)
    found = [(m.name, m.type_flag, tar[m.offset : m.offset + m.size_bytes]) for m in members]
    assert found[:4] == [
        ("d", b"5", b""),
        ("d/a", b"0", b"1" * 600),
        ("b", b"0", b"2"),
        ("c", b"0", b""),
    ]
    assert [(m.name, m.link_target) for m in members[4:]] == [("d/l", "../b"), ("h", "/b")]


@pytest.mark.parametrize("tar_format", [1, 2], ids=["gnu", "pax"])
def test_long_names_are_read(tmp_path: Path, tar_format: TarFormat) -> None:
    name = "n" * 300
    (member,) = _index(tmp_path, tarball(symlink(name, name), tar_format=tar_format))
    assert (member.name, member.link_target) == (name, name)


def test_names_that_climb_are_shown_and_not_refused(tmp_path: Path) -> None:
    (member,) = _index(tmp_path, tarball(file("a/./../..//b", b"x")))
    assert member.name == "a/../../b"


def test_member_given_twice_is_listed_twice(tmp_path: Path) -> None:
    first, second = _index(tmp_path, tarball(file("a", b"1"), file("a", b"22")))
    assert (first.size_bytes, second.size_bytes) == (1, 2)


def test_huge_member_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    header = file("big").header
    header.size = 1 << 40
    with path.open("wb") as archive:
        archive.write(header.tobuf(tarfile.GNU_FORMAT))
        archive.seek(512 + header.size)
        archive.write(tarball(file("next", b"x")))
    fd = os.open(path, os.O_RDONLY)
    try:
        big, following = index_tar(fd, path.stat().st_size)
    finally:
        os.close(fd)
    assert (big.offset, big.size_bytes) == (512, 1 << 40)
    assert (following.name, following.offset) == ("next", 1024 + (1 << 40))


def test_missing_padding_at_the_end_is_fine(tmp_path: Path) -> None:
    tar = tarball(file("a", b"x" * 10), end=b"")[:522]
    assert _index(tmp_path, tar)[0].size_bytes == 10


@pytest.mark.parametrize("length", [1, 511, 513, 1030, 1535, 1536, 2000, 2135])
def test_truncated_tar_is_refused(tmp_path: Path, length: int) -> None:
    tar = tarball(file("n" * 150, b"x" * 600), end=b"")
    with pytest.raises(LayerError, match="truncated"):
        _index(tmp_path, tar[:length])


@pytest.mark.parametrize("junk", [b"{}" * 600, b"\x1f\x8b" + b"x" * 600])
def test_what_is_no_tar_is_refused(tmp_path: Path, junk: bytes) -> None:
    with pytest.raises(LayerError):
        _index(tmp_path, junk)


def test_sparse_member_is_refused(tmp_path: Path) -> None:
    pax = {"GNU.sparse.map": "0,3", "GNU.sparse.size": "100"}
    with pytest.raises(LayerError, match="'f': is stored as a sparse file"):
        _index(tmp_path, tarball(file("f", b"abc", pax=pax)))


def test_global_header_is_passed_over(tmp_path: Path) -> None:
    header = tarfile.TarInfo("global")
    header.type, header.size = tarfile.XGLTYPE, 14
    tar = tarball(header.tobuf(tarfile.USTAR_FORMAT), padded(b"14 comment=x\n\n"), file("a"))
    assert [member.name for member in _index(tmp_path, tar)] == ["a"]


def test_more_members_than_an_image_can_have_are_refused_soon(tmp_path: Path) -> None:
    block = file("a").header.tobuf(tarfile.USTAR_FORMAT)
    started = time.process_time()
    with pytest.raises(LayerError, match="more members, or longer names"):
        _index(tmp_path, block * 200_000)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("make", ["name", "target", "target-of-a-file"])
def test_names_that_would_fill_the_memory_are_refused(tmp_path: Path, make: str) -> None:
    long = "n" * ((1 << 20) - 50)
    member = symlink(long if make == "name" else "l", "t" if make == "name" else long)
    if make == "target-of-a-file":
        member = file("f", pax={"linkpath": long})
    with pytest.raises(LayerError, match="longer names"):
        _index(tmp_path, tarball(*[member] * 40))
