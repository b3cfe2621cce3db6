"""What an upper directory says of its base becomes the changes, and nothing else does.

An upper directory is a plain one here: whiteouts are devices 0:0 and opaque
directories have the attribute that overlayfs gives them.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from rootrun.layer.compare import DiffNotes
from rootrun.layer.diff import Change, diff_upper
from rootrun.layer.dockertools import DOCKERTOOLS
from rootrun.layer.entry import EntryType
from rootrun.layer.policy import LayerPolicy, OwnerRule
from rootrun.rootfs.base_view import BaseView
from tests.support.stacks import (
    OPEN_DIRECTORY,
    make_deep,
    make_opaque,
    make_whiteout,
    open_descriptors,
    stack_of,
)
from tests.support.tarball import Member, directory, file, symlink, tarball

pytestmark = pytest.mark.root  # owners and whiteouts, outside of any namespace


class Upper:
    """An upper directory at ``path`` over a base of one layer."""

    def __init__(self, place: Path, *base: Member) -> None:
        self.path = place / "tree"
        self.path.mkdir(mode=0o755)
        self.stack = stack_of(place, tarball(*base))
        self.notes = DiffNotes()

    def changes(self, policy: LayerPolicy) -> Iterator[Change]:
        """Yield the changes, as a run takes them."""
        with ExitStack() as cleanup:
            fds = []
            for path in (self.path, self.stack.layers[0].tree):
                fds.append(os.open(path, OPEN_DIRECTORY))
                cleanup.callback(os.close, fds[-1])
            base = BaseView(self.stack, root_status=os.fstat(fds[1]))
            yield from diff_upper(
                fds[0], base_fd=fds[1], base=base, policy=policy, notes=self.notes
            )

    def names(self, policy: LayerPolicy | None = None) -> list[str]:
        """Return the names of the changes, in their order; directories end with a slash."""
        return [
            f"{entry.path}/" if entry.type is EntryType.DIRECTORY else entry.path
            for entry, *_ in self.changes(policy or LayerPolicy())
        ]


BASE = (
    directory("d", mode=0o750, uid=3, gid=4),
    directory("d/sub"),
    file("d/sub/x", b"x"),
    file("d/f", b"content", mode=0o640),
    symlink("d/l", "f"),
)


@pytest.fixture
def upper(deep_path: Path) -> Upper:
    """An upper directory over BASE that has ``d`` copied up, unchanged."""
    upper = Upper(deep_path, *BASE)
    (upper.path / "d").mkdir()
    (upper.path / "d").chmod(0o750)
    os.chown(upper.path / "d", 3, 4)
    return upper


def copy_up(upper: Upper, path: str) -> Path:
    """Copy a file of the base up, as overlayfs does when it is opened for writing."""
    source = upper.stack.layers[0].tree / path
    copy = upper.path / path
    copy.write_bytes(source.read_bytes())
    copy.chmod(source.stat().st_mode & 0o7777)
    return copy


def test_copied_up_and_equal_is_no_change(upper: Upper) -> None:
    os.utime(copy_up(upper, "d/f"), (5, 5))
    (upper.path / "d" / "l").symlink_to("f")
    assert upper.names() == []


def test_new_content_of_the_same_size_is_a_change(upper: Upper) -> None:
    copy_up(upper, "d/f").write_bytes(b"CONTENT")
    assert upper.names() == ["d/", "d/f"]


def test_unchanged_ancestors_are_written_once_as_the_base_has_them(upper: Upper) -> None:
    (upper.path / "d" / "new").touch()
    (upper.path / "d" / "new2").touch()
    make_whiteout(upper.path / "d" / "f")
    changes = list(upper.changes(LayerPolicy(mtime_s=9)))
    assert [entry.path for entry, *_ in changes] == ["d", "d/.wh.f", "d/new", "d/new2"]
    entry = changes[0].entry
    assert (entry.mode, entry.uid, entry.gid, entry.mtime_s) == (0o750, 3, 4, 9)


def test_unchanged_ancestors_keep_their_extended_attributes(deep_path: Path) -> None:
    upper = Upper(deep_path, directory("d", xattrs={"user.k": b"v"}))
    (upper.path / "d").mkdir()
    os.setxattr(upper.path / "d", "user.k", b"v")
    (upper.path / "d" / "new").touch()
    assert [dict(entry.xattrs) for entry, *_ in upper.changes(LayerPolicy())] == [
        {"user.k": b"v"},
        {},
    ]


def test_a_whiteout_of_what_the_base_lacks_is_none(upper: Upper) -> None:
    make_whiteout(upper.path / "d" / "gone")
    make_whiteout(upper.path / "only-a-mount-point")
    assert upper.names() == []


def test_a_shape_has_a_root_and_whiteouts_among_the_other_names(upper: Upper) -> None:
    policy = LayerPolicy(shape=DOCKERTOOLS)
    assert upper.names(policy) == ["/"]
    for name in ("-", ".wha", ".wh.l", "new"):
        (upper.path / "d" / name).touch()
    for name in ("f", "l"):
        make_whiteout(upper.path / "d" / name)
    names = ["/", "d/", "d/-", "d/.wh.f", "d/.wh.l", "d/.wha", "d/new"]
    assert upper.names(policy) == names
    assert upper.notes.unspeakable == ["d/.wh.l"]  # the run's file, not the whiteout
    upper.path.chmod(0o711)
    root = next(upper.changes(policy))
    assert (root.entry.mode, root.is_ancestor) == (0o711, False)


def test_an_opaque_directory_deletes_what_it_does_not_have(upper: Upper) -> None:
    make_opaque(upper.path / "d")
    (upper.path / "d" / "sub").mkdir()  # new: its old children are not seen through it
    (upper.path / "d" / "f").write_bytes(b"content")
    (upper.path / "d" / "f").chmod(0o640)
    assert upper.names() == ["d/", "d/.wh.l", "d/sub/", "d/sub/.wh.x"]


def test_a_directory_below_an_opaque_one_is_not_seen_through(upper: Upper) -> None:
    make_opaque(upper.path / "d")
    (upper.path / "d" / "sub").mkdir()
    (upper.path / "d" / "sub" / "y").touch()
    assert upper.names()[-4:] == ["d/.wh.l", "d/sub/", "d/sub/.wh.x", "d/sub/y"]


def test_an_opaque_root_deletes_all(upper: Upper) -> None:
    make_opaque(upper.path)
    (upper.path / "d").rmdir()
    (upper.path / "new").touch()
    assert upper.names() == [".wh.d", "new"]


def test_a_directory_in_place_of_a_file_needs_no_whiteout(upper: Upper) -> None:
    (upper.path / "d" / "f").mkdir()
    (upper.path / "d" / "f" / "child").touch()
    assert upper.names() == ["d/", "d/f/", "d/f/child"]


def test_a_file_in_place_of_a_directory_needs_no_whiteout(upper: Upper) -> None:
    (upper.path / "d" / "sub").touch()
    assert upper.names() == ["d/", "d/sub"]


def test_whiteouts_come_first_and_all_is_sorted_by_bytes(deep_path: Path) -> None:
    upper = Upper(deep_path, file("z"), file("B"), file("latin-\udce9"))
    for name in ("z", "B", "latin-\udce9"):
        make_whiteout(upper.path / name)
    for name in ("a", "Z", "a.b", "\u00e9", "latin-\udcff"):
        (upper.path / name).touch()
    (upper.path / "a-b").mkdir()
    (upper.path / "a-b" / "c").touch()
    names = upper.names()
    assert names[:3] == [".wh.B", ".wh.latin-\udce9", ".wh.z"]
    assert names[3:] == ["Z", "a", "a-b/", "a-b/c", "a.b", "latin-\udcff", "\u00e9"]


def bind_socket(path: Path) -> None:
    """Make a socket at ``path``."""
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(path.parent, OPEN_DIRECTORY)
        listener.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


def test_a_socket_is_dropped_with_a_note(upper: Upper) -> None:
    bind_socket(upper.path / "d" / "s")
    assert upper.names() == []
    assert upper.notes.sockets == ["d/s"]


@pytest.mark.parametrize("replaced", ["f", "sub"], ids=["a file", "a directory"])
@pytest.mark.parametrize("is_opaque", [False, True], ids=["merged", "opaque"])
def test_what_a_socket_replaced_is_deleted(upper: Upper, replaced: str, is_opaque: bool) -> None:
    bind_socket(upper.path / "d" / replaced)
    if is_opaque:
        make_opaque(upper.path / "d")
    names = upper.names()
    assert f"d/.wh.{replaced}" in names
    assert f"d/{replaced}" not in names
    assert upper.notes.sockets == [f"d/{replaced}"]


def test_names_like_whiteouts_are_dropped_with_a_note(upper: Upper) -> None:
    (upper.path / "d" / ".wh.file").touch()
    (upper.path / ".wh.dir").mkdir()
    (upper.path / ".wh.dir" / "child").touch()
    assert upper.names() == []
    assert sorted(upper.notes.unspeakable) == [".wh.dir", "d/.wh.file"]


def test_the_root_is_a_change_only_if_its_metadata_is_new(upper: Upper) -> None:
    (upper.path / "new").touch()
    assert upper.names() == ["new"]
    upper.path.chmod(0o700)
    assert upper.names() == ["/", "new"]


OWNERS = {
    "root": (LayerPolicy(), [], 1),
    "keep": (LayerPolicy(owner=OwnerRule.KEEP), ["d/", "d/f"], 0),
    "fixed": (LayerPolicy(owner=OwnerRule.FIXED, uid=8, gid=9), [], 0),
}


@pytest.mark.parametrize("case", OWNERS)
def test_a_new_owner_alone_counts_only_if_owners_are_kept(case: str, upper: Upper) -> None:
    policy, expected, dropped = OWNERS[case]
    os.chown(copy_up(upper, "d/f"), 7, 7)
    assert upper.names(policy) == expected
    assert upper.notes.dropped_owners == dropped


def test_descriptors_of_changes_are_good_until_the_next_and_closed_at_the_end(
    upper: Upper,
) -> None:
    before = open_descriptors()
    (upper.path / "d" / "a").write_bytes(b"1")
    (upper.path / "d" / "b").write_bytes(b"2")
    read = []
    for entry, fd, name, _ in upper.changes(LayerPolicy()):
        if entry.type is EntryType.FILE:
            file_fd = os.open(name, os.O_RDONLY, dir_fd=fd)
            read.append(os.read(file_fd, 9))
            os.close(file_fd)
    assert read == [b"1", b"2"]
    assert open_descriptors() == before


def test_an_abandoned_diff_leaks_no_descriptor(upper: Upper) -> None:
    before = open_descriptors()
    (upper.path / "d" / "a").touch()
    changes = upper.changes(LayerPolicy())
    next(changes)
    del changes
    assert open_descriptors() == before


def test_new_trees_deeper_than_pythons_recursion_are_written(deep_path: Path) -> None:
    upper = Upper(deep_path)
    make_deep(upper.path, 1500)
    before = open_descriptors()
    held = 0
    for _ in upper.changes(LayerPolicy()):
        held = max(held, len(open_descriptors() - before))
    assert held < 10
    assert upper.names()[-1] == "d/" * 1500
