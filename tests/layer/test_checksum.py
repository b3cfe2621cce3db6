"""The checksum of a tree: it finds what the disk has changed, and takes no time for holes."""

import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.layer.checksum import checksum_tree
from rootrun.layer.crc import crc32_zeros, crc_of_file
from tests.support.tarball import directory, fifo, file, hardlink, opaque, symlink, whiteout
from tests.support.unpacking import unpack


def _checksum(root: Path) -> int:
    fd = os.open(root, os.O_RDONLY)
    try:
        return checksum_tree(fd)
    finally:
        os.close(fd)


def _flip_bit(root: Path) -> None:
    status = (root / "d/f").stat()
    with (root / "d/f").open("r+b") as content:
        content.seek(70_000)
        content.write(b"y")
    os.utime(root / "d/f", ns=(status.st_mtime_ns, status.st_mtime_ns))


def _swap(root: Path) -> None:
    (root / "d/a").rename(root / "d/c")
    (root / "d/b").rename(root / "d/a")
    (root / "d/c").rename(root / "d/b")
    os.utime(root / "d", (0, 0))


def _retarget(root: Path) -> None:
    (root / "l").unlink()
    (root / "l").symlink_to("tarGet")
    os.utime(root / "l", (0, 0), follow_symlinks=False)
    os.utime(root, (0, 0))


@pytest.mark.parametrize(
    "damage",
    [
        _flip_bit,
        _swap,
        _retarget,
        lambda root: os.truncate(root / "d/f", 5),
        lambda root: (root / "d/a").unlink(),
        lambda root: (root / "new").write_bytes(b""),
        lambda root: (root / "d/f").chmod(0o600),
        lambda root: (root / "d").chmod(0o700),
        lambda root: os.utime(root / "d", (1, 1)),
        lambda root: (root / "gone").unlink(),
        lambda root: os.setxattr(root / "d/f", "user.k", b"v"),
        lambda root: os.setxattr(root / "x", "user.k", b"w"),
        lambda root: os.removexattr(root / "x", "user.k"),
        lambda root: os.setxattr(root / "d", "user.k", b"v"),
        lambda root: os.removexattr(root / "o", "user.overlay.opaque"),
    ],
    ids=[
        *("bit", "swap", "link", "cut", "lost", "new", "mode", "directory", "time", "whiteout"),
        *("new attribute", "attribute", "lost attribute", "attribute of a directory", "opaque"),
    ],
)
def test_damage_is_found(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    _assert_found(tmp_path, damage)


@pytest.mark.root
@pytest.mark.parametrize("path", [".", "d", "d/f", "l", "p"])
@pytest.mark.parametrize("owner", [(1, -1), (-1, 1)], ids=["user", "group"])
def test_another_owner_is_found(tmp_path: Path, path: str, owner: tuple[int, int]) -> None:
    _assert_found(tmp_path, lambda root: os.chown(root / path, *owner, follow_symlinks=False))


@pytest.mark.root
def test_another_capability_is_found(tmp_path: Path) -> None:
    capability = bytes.fromhex("0000000200040000000000000000000000000000")
    _assert_found(tmp_path, lambda root: os.setxattr(root / "x", "security.capability", capability))


def _assert_found(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    unpacked = unpack(
        tmp_path, directory("d"), file("d/f", b"x" * 100_000), file("d/a", b"1"), file("d/b", b"2"),
        symlink("l", "target"), whiteout("gone"), directory("."), opaque("o"), fifo("p"),
        file("x", xattrs={"user.k": b"v"}),
    )  # fmt: skip
    before = _checksum(unpacked.root)
    assert before == unpacked.record.checksum
    damage(unpacked.root)
    assert _checksum(unpacked.root) != before


def test_order_of_the_entries_does_not_matter(tmp_path: Path) -> None:
    entries = [directory("d"), file("d/b", b"2"), file("d/a", b"1")]
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    one = unpack(tmp_path / "1", *entries)
    two = unpack(tmp_path / "2", *reversed(entries))
    assert one.record.checksum == two.record.checksum


def test_content_of_many_names_is_read_once(tmp_path: Path) -> None:
    links = [hardlink(f"l{number}", "f") for number in range(2000)]
    unpacked = unpack(tmp_path, file("f", b"x" * (8 << 20)), *links)
    started = time.process_time()
    assert _checksum(unpacked.root) == unpacked.record.checksum
    assert time.process_time() - started < 2


@pytest.mark.parametrize("count", [0, 1, 65536, 65537, 1_000_003])
@pytest.mark.parametrize("before", [b"", b"before"])
def test_zeros_count_as_zeros(before: bytes, count: int) -> None:
    assert crc32_zeros(zlib.crc32(before), count) == zlib.crc32(before + bytes(count))


@pytest.mark.parametrize("end", [b"", b"end"], ids=["hole", "data"])
def test_content_with_holes_has_the_crc_of_all_of_it(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "f"
    with path.open("wb") as content:
        content.write(b"start")
        content.seek(3 << 20)
        content.write(b"middle")
        content.truncate(9 << 20)
        content.seek(0, os.SEEK_END)
        content.write(end)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert crc_of_file(fd, os.fstat(fd)) == zlib.crc32(path.read_bytes())
    finally:
        os.close(fd)
