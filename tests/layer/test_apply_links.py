"""Links of a layer: symlinks on the way, hard links, and links out of the layer."""

import os
import stat
from pathlib import Path

import pytest

from rootrun.errors import LayerError, UnsafeEntryError
from rootrun.layer.entry import ROOT, EntryPath
from tests.support.sparse import format_0
from tests.support.tarball import device, directory, fifo, file, hardlink, symlink, whiteout
from tests.support.unpacking import unpack


@pytest.mark.parametrize(
    "target", ["usr/lib", "/usr/lib", "./usr/../usr/lib/", "../../usr/lib", "/../usr//lib/."]
)
def test_symlinked_parent_is_followed_inside_the_tree(tmp_path: Path, target: str) -> None:
    unpacked = unpack(tmp_path, directory("usr/lib"), symlink("lib", target), file("lib/f", b"x"))
    assert unpacked.names() == ["lib", "usr", "usr/lib", "usr/lib/f"]
    assert os.readlink(unpacked.root / "lib") == target


def test_symlinks_in_a_row_are_followed(tmp_path: Path) -> None:
    links = [symlink(f"l{n}", f"l{n + 1}") for n in range(39)]
    unpacked = unpack(tmp_path, *links, symlink("l39", "d"), file("l0/f"))
    assert "d/f" in unpacked.names()


def test_directory_that_a_symlink_promises_is_made(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, symlink("var/run", "/run"), file("var/run/x/f"))
    assert unpacked.names() == ["run", "run/x", "run/x/f", "var", "var/run"]
    assert unpacked.record.implicit == {ROOT, "run", "run/x", "var"}


def test_records_name_the_place_and_not_the_way(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path, symlink("bin", "usr/bin"), file("bin/su", mode=0o4755), whiteout("bin/x")
    )
    assert unpacked.record.set_ids == {"usr/bin/su"}
    assert unpacked.is_whiteout("usr/bin/x")


def test_symlink_that_is_replaced_by_a_directory_leads_nowhere(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path, directory("a"), symlink("l", "a"), file("l/1"), directory("l"), file("l/2")
    )
    assert unpacked.names() == ["a", "a/1", "l", "l/2"]


def test_entries_below_a_redirect_go_below_its_value(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path,
        file("lib/f"),
        whiteout("lib/x"),
        hardlink("g", "lib/f"),
        redirects={"lib": "usr/lib"},
    )
    assert unpacked.names() == ["g", "usr", "usr/lib", "usr/lib/f", "usr/lib/x"]
    assert unpacked.lstat("g").st_nlink == 2


def test_redirects_that_chase_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeEntryError, match="too many symlinks"):
        unpack(tmp_path, file("a/f"), redirects={"a": "b", "b": "a"})


def test_hard_link_shares_the_inode(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("a", b"shared"), hardlink("d/b", "a"), hardlink("c", "./d/b"))
    assert {unpacked.lstat(name).st_ino for name in ("a", "d/b", "c")} == {
        unpacked.lstat("a").st_ino
    }


def test_hard_link_to_a_symlink_is_one_more_symlink(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("f"), symlink("l", "f"), hardlink("m", "l"))
    assert os.readlink(unpacked.root / "m") == "f"
    assert unpacked.lstat("m").st_ino == unpacked.lstat("l").st_ino


def test_hard_link_to_a_fifo_and_to_a_device(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path, fifo("p"), hardlink("q", "p"), device("n", 1, 3), hardlink("m", "n")
    )
    assert stat.S_ISFIFO(unpacked.lstat("q").st_mode)
    assert unpacked.recorded()[EntryPath("m")] == unpacked.recorded()[EntryPath("n")]
    assert unpacked.is_whiteout("m")


def test_hard_link_target_is_found_through_a_symlinked_parent(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path, symlink("lib", "/usr/lib"), file("usr/lib/f"), hardlink("g", "lib/f")
    )
    assert unpacked.lstat("g").st_ino == unpacked.lstat("usr/lib/f").st_ino


def test_hard_link_replaces_what_is_there(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path, file("a", b"new"), file("b/old", b"x"), symlink("s", "b"), hardlink("b", "a")
    )
    assert unpacked.names() == ["a", "b", "s"]
    assert (unpacked.root / "b").read_bytes() == b"new"


def test_change_of_one_name_leaves_the_other_names(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("a", b"old"), hardlink("b", "a"), file("a", b"new"))
    assert (unpacked.root / "a").read_bytes() == b"new"
    assert (unpacked.root / "b").read_bytes() == b"old"


def test_hard_link_to_itself_changes_nothing(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("a", b"kept"), hardlink("a", "./a"))
    assert (unpacked.root / "a").read_bytes() == b"kept"


def test_link_out_of_the_layer_is_left_to_the_stack(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, hardlink("d/a", "/below/f"), hardlink("b", "d/a"))
    assert unpacked.record.foreign_links == {"d/a": "below/f", "b": "below/f"}
    assert unpacked.is_whiteout("d/a")
    assert unpacked.is_whiteout("b")
    assert not unpacked.recorded()


def test_foreign_link_that_is_replaced_is_forgotten(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path, hardlink("a", "x"), file("a"), hardlink("d/b", "x"), file("d"), hardlink("c", "x")
    )
    assert unpacked.record.foreign_links == {"c": "x"}


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("d", "is a hard link to a directory"),
        ("/", "is a hard link to a directory"),
        ("gone", "its target is deleted"),
        ("h", "is a hard link to itself"),
        ("h/", "is a hard link to itself"),
    ],
)
def test_hard_link_to_nothing_that_can_be_linked_is_refused(
    tmp_path: Path, target: str, why: str
) -> None:
    with pytest.raises(LayerError, match=why):
        unpack(tmp_path, directory("d"), whiteout("gone"), hardlink("h", target))


def test_hard_link_that_removes_its_own_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="takes the place of its own target"):
        unpack(tmp_path, file("d/f"), hardlink("d", "d/f"))


@pytest.mark.slow
def test_more_links_than_an_inode_can_have_become_copies(tmp_path: Path) -> None:
    size = 8 << 20
    sparse = format_0(f"{size - 7},7", b"content", size=size)
    sparse.header.mode, sparse.header.mtime = 0o4711, 5
    links = [hardlink(f"l{number}", "sparse") for number in range(66_000)]
    unpacked = unpack(tmp_path, sparse, *links)
    last = unpacked.lstat("l65999")
    assert (unpacked.root / "l65999").read_bytes() == bytes(size - 7) + b"content"
    assert (stat.S_IMODE(last.st_mode), last.st_mtime) == (0o711, 5)
    assert last.st_blocks * 512 < 1 << 20
    assert EntryPath("l65999") in unpacked.record.set_ids
