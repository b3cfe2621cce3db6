"""A listing has every path of a tree once, in the order of a layer, as the image has it."""

import os
from pathlib import Path

import pytest

from rootrun.layer.entry import Entry
from rootrun.layer.listing import list_tree
from rootrun.rootfs.base_view import BaseView
from tests.support.stacks import OPEN_DIRECTORY, make_deep, open_descriptors, stack_of
from tests.support.tarball import Member, device, directory, file, hardlink, symlink, tarball
from tests.support.unpacking import EVERY_ID, ONE_ID, Range


def listed(tmp_path: Path, *members: Member, ids: Range = EVERY_ID) -> list[Entry]:
    """List an image of one layer."""
    stack = stack_of(tmp_path, tarball(*members), ids=ids)
    fd = os.open(stack.layers[0].tree, OPEN_DIRECTORY)
    try:
        base = BaseView(stack, root_status=os.fstat(fd))
        return [entry for entry, *_ in list_tree(fd, base, mtime_s=9)]
    finally:
        os.close(fd)


def test_everything_is_listed_depth_first_by_bytes(tmp_path: Path) -> None:
    members = [file("b"), directory("a"), file("a/z"), directory("a/B"), file("a/B/x"),
               file("a.b"), file("a-b"), file("latin-\udce9"), file("\u00e9")]  # fmt: skip
    assert [entry.path for entry in listed(tmp_path, *members)] == [
        *("", "a", "a/B", "a/B/x", "a/z", "a-b", "a.b", "b", "latin-\udce9", "\u00e9")
    ]


def test_all_metadata_is_the_image_s_also_with_one_id(tmp_path: Path) -> None:
    entries = listed(
        tmp_path,
        directory(".", mode=0o711, uid=1, xattrs={"user.r": b"r"}),
        file("su", b"x", mode=0o4755, uid=2, gid=3, xattrs={"user.k": b"v"}),
        device("null", 1, 3, mode=0o666, uid=4),
        symlink("to", "su", uid=5),
        ids=ONE_ID,
    )
    told = {entry.path: (entry.mode, entry.uid, entry.gid, entry.mtime_s) for entry in entries}
    assert told == {
        "": (0o711, 1, 0, 9),
        "null": (0o666, 4, 0, 9),
        "su": (0o4755, 2, 3, 9),
        "to": (0o777, 5, 0, 9),
    }
    xattrs = {entry.path: dict(entry.xattrs) for entry in entries if entry.xattrs}
    assert xattrs == {"": {"user.r": b"r"}, "su": {"user.k": b"v"}}


def test_xattrs_that_the_disk_has_are_listed(tmp_path: Path) -> None:
    xattrs = {"user.k": b"v"}
    entries = listed(tmp_path, directory("d", xattrs=xattrs), file("d/f", xattrs=xattrs))
    assert [dict(entry.xattrs) for entry in entries] == [{}, xattrs, xattrs]


def test_xattrs_that_the_disk_could_not_hold_are_listed(tmp_path: Path) -> None:
    xattrs = {"user.big": b"v" * 5000}  # ext4 has one block for all of them
    assert [dict(entry.xattrs) for entry in listed(tmp_path, file("f", xattrs=xattrs))] == [
        {},
        xattrs,
    ]


def test_hard_links_are_full_files(tmp_path: Path) -> None:
    entries = listed(tmp_path, file("a", b"four"), hardlink("b", "a"))
    assert [(entry.type.name, entry.size_bytes) for entry in entries[1:]] == [("FILE", 4)] * 2


@pytest.mark.root
def test_depth_costs_no_descriptors(deep_path: Path) -> None:
    stack = stack_of(deep_path, tarball(file("x")))
    stack.layers[0].tree.rename(deep_path / "tree")
    make_deep(deep_path / "tree", 1500)
    fd = os.open(deep_path / "tree", OPEN_DIRECTORY)
    before = open_descriptors()
    base = BaseView(stack, root_status=os.fstat(fd))
    held = [len(open_descriptors() - before) for _ in list_tree(fd, base, mtime_s=1)]
    assert len(held) == 1502
    assert max(held) < 5
    assert open_descriptors() == before
    os.close(fd)
