"""Unpacking a layer: every type of entry, with its metadata."""

import os
import stat
from pathlib import Path

import pytest

from rootrun.errors import LayerError
from rootrun.layer.entry import ROOT, EntryPath, EntryType
from tests.support.tarball import (
    Member,
    device,
    directory,
    fifo,
    file,
    hardlink,
    symlink,
)
from tests.support.unpacking import unpack


def test_file_has_its_content_mode_and_time(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("f", b"content", 0o640, mtime=1234567))
    status = unpacked.lstat("f")
    assert (unpacked.root / "f").read_bytes() == b"content"
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_mtime_ns == 1234567 * 10**9


def test_latest_time_of_ustar_is_stored(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("f", mtime=2**40), directory("d", mtime=2**40))
    assert unpacked.lstat("f").st_mtime in (2**33 - 1, 2**31 - 1)  # as far as the disk can


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o177], ids=oct)
def test_umask_has_no_say(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        unpacked = unpack(
            tmp_path, directory("d", 0o777), file("i/f", mode=0o666), fifo("p", 0o622)
        )
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE(unpacked.lstat(name).st_mode) for name in unpacked.names()}
    assert modes == {"d": 0o777, "i": 0o755, "i/f": 0o666, "p": 0o622}


@pytest.mark.usefixtures("as_root")
def test_directory_keeps_its_mode_and_time_although_it_is_filled_later(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path,
        directory("d", 0o500, mtime=5),
        directory("d/closed", 0o000, mtime=6),
        file("d/closed/f", b"x"),
    )
    assert unpacked.lstat("d").st_mtime == 5
    assert stat.S_IMODE(unpacked.lstat("d").st_mode) == 0o500
    assert unpacked.lstat("d/closed").st_mtime == 6
    assert stat.S_IMODE(unpacked.lstat("d/closed").st_mode) == 0
    assert unpacked.lstat("d/closed/f").st_size == 1


def test_symlink_is_verbatim(tmp_path: Path) -> None:
    targets = ["/etc/passwd", "../../../x", "dangling", "./a//b/"]
    unpacked = unpack(tmp_path, *(symlink(f"l{n}", t, mtime=9) for n, t in enumerate(targets)))
    assert [os.readlink(unpacked.root / name) for name in unpacked.names()] == targets
    assert unpacked.lstat("l0").st_mtime == 9


def test_fifo_is_made(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, fifo("p", 0o600, mtime=3))
    status = unpacked.lstat("p")
    assert stat.S_ISFIFO(status.st_mode)
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o600, 3)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("char", EntryType.CHARACTER_DEVICE), ("block", EntryType.BLOCK_DEVICE)],
)
def test_device_is_recorded_and_hides_its_name(
    tmp_path: Path, kind: str, expected: EntryType
) -> None:
    unpacked = unpack(tmp_path, device("dev/n", 8, 300, kind=kind, mode=0o620, uid=3, gid=4))
    assert unpacked.is_whiteout("dev/n")
    recorded = unpacked.recorded()[EntryPath("dev/n")]
    assert recorded == (expected, 0o620, 3, 4, (8, 300), {})


def test_device_0_0_is_a_device_and_no_deletion(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, device("n", 0, 0))
    assert unpacked.recorded()[EntryPath("n")].type is EntryType.CHARACTER_DEVICE


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6711], ids=oct)
def test_set_id_bits_of_files_are_recorded_and_not_set(tmp_path: Path, mode: int) -> None:
    unpacked = unpack(tmp_path, file("su", b"x", mode), hardlink("su2", "su"))
    assert stat.S_IMODE(unpacked.lstat("su").st_mode) == mode & 0o777
    assert unpacked.record.set_ids == {"su", "su2"}
    assert unpacked.recorded()[EntryPath("su")].mode == mode
    assert unpacked.recorded()[EntryPath("su2")].mode == mode


def test_sticky_and_setgid_directories_are_kept(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, directory("tmp", 0o1777), directory("mail", 0o2775), file("mail/f"))
    assert stat.S_IMODE(unpacked.lstat("tmp").st_mode) == 0o1777
    assert stat.S_IMODE(unpacked.lstat("mail").st_mode) == 0o2775
    assert unpacked.lstat("mail/f").st_gid == os.getegid()
    assert EntryPath("mail") not in unpacked.recorded()


def test_missing_parents_are_made_and_noted(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, directory("a"), file("a/b/c/f"))
    assert unpacked.record.implicit == {ROOT, "a/b", "a/b/c"}
    assert stat.S_IMODE(unpacked.lstat("a/b/c").st_mode) == 0o755


def test_missing_parent_that_gets_its_entry_later_is_not_implicit(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("a/f"), directory("a", 0o711, mtime=7))
    assert unpacked.record.implicit == {ROOT}
    assert stat.S_IMODE(unpacked.lstat("a").st_mode) == 0o711
    assert unpacked.lstat("a").st_mtime == 7
    assert unpacked.names() == ["a", "a/f"]


def test_root_entry_gives_the_root_its_metadata(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, directory(".", 0o751, mtime=77, xattrs={"user.r": b"1"}))
    assert ROOT not in unpacked.record.implicit
    assert stat.S_IMODE(unpacked.lstat("").st_mode) == 0o751
    assert unpacked.lstat("").st_mtime == 77
    assert os.getxattr(unpacked.root, "user.r") == b"1"


def test_root_without_entry_is_implicit_and_0755(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("f"))
    assert unpacked.record.implicit == {ROOT}
    assert stat.S_IMODE(unpacked.lstat("").st_mode) == 0o755


def test_empty_layer_is_an_empty_tree(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path)
    assert unpacked.names() == []
    assert unpacked.record.entry_count == 0


@pytest.mark.parametrize(
    "second",
    [file("x", b"second"), symlink("x", "y"), fifo("x"), device("x", 1, 3), directory("x")],
    ids=["file", "symlink", "fifo", "device", "directory"],
)
@pytest.mark.parametrize(
    "first",
    [
        [file("x", b"first", 0o4755)],
        [symlink("x", "/outside")],
        [directory("x"), file("x/y/z", b"deep"), device("x/n", 1, 3)],
        [device("x", 1, 5)],
        [hardlink("x", "not/in/this/layer")],
    ],
    ids=["file", "symlink", "directory", "device", "foreign-link"],
)
def test_last_entry_of_a_path_wins(tmp_path: Path, first: list[Member], second: Member) -> None:
    unpacked = unpack(tmp_path, *first, second)
    if second.header.isdir() and first[0].header.isdir():
        assert unpacked.names() == ["x", "x/n", "x/y", "x/y/z"]
        return
    assert unpacked.names() == ["x"]
    assert not unpacked.record.foreign_links
    assert not unpacked.record.set_ids
    assert set(unpacked.recorded()) == ({"x"} if second.header.ischr() else set())


def test_second_directory_entry_replaces_all_attributes(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path,
        directory("d", 0o700, uid=5, mtime=1, xattrs={"user.old": b"1"}),
        file("d/f"),
        directory("d", 0o711, mtime=2),
    )
    status = unpacked.lstat("d")
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o711, 2)
    assert status.st_uid == os.geteuid()
    assert os.listxattr(unpacked.root / "d") == []
    assert unpacked.names() == ["d", "d/f"]


def test_file_cannot_be_a_parent(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="'f': is a parent and not a directory"):
        unpack(tmp_path, file("f"), file("f/x"))


def test_names_of_any_bytes_are_kept(tmp_path: Path) -> None:
    names = ["new\nline", "quo'\"te", "\udcff\udc80", "café", "cafe\u0301", "n" * 255, "a=b ", "\\"]
    unpacked = unpack(tmp_path, *(file(name) for name in names))
    assert {os.fsencode(name) for name in unpacked.names()} == {
        name.encode("utf-8", "surrogateescape") for name in names
    }


def test_entries_and_bytes_are_counted(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, directory("d"), file("d/f", b"12345"), hardlink("d/g", "d/f"))
    assert (unpacked.record.entry_count, unpacked.record.size_bytes) == (3, 5)


def test_deepest_tree_that_a_name_can_say_is_unpacked(deep_path: Path) -> None:
    path = "/".join("d" * 2000)
    unpacked = unpack(deep_path, file(f"{path}/f", b"x"))
    assert len(unpacked.record.implicit) == 2001
    assert EntryPath(path) in unpacked.record.implicit


def test_error_of_the_kernel_is_told_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"unpack layer: 'n{256}': File name too long"):
        unpack(tmp_path, file("n" * 256))
