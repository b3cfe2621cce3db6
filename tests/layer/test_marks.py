"""Directories that could not be marked are replaced by marked ones, and lose nothing by it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from rootrun.errors import SandboxError
from rootrun.layer.entry import ROOT, EntryPath
from rootrun.layer.ledger import Ledger
from rootrun.layer.marks import replace_unmarked
from rootrun.layer.metadata import OPAQUE_XATTR, ORIGIN_XATTR
from rootrun.layer.removal import remove_tree
from tests.support.stacks import OPEN_DIRECTORY, open_descriptors


@contextmanager
def marked(beside_fd: int, are_opaque: Sequence[bool]) -> Iterator[int]:
    """A ``MarkedDirectories`` for where setxattr(2) works."""
    os.mkdir("made", dir_fd=beside_fd)
    fd = os.open("made", OPEN_DIRECTORY, dir_fd=beside_fd)
    try:
        for number, is_opaque in enumerate(are_opaque):
            os.mkdir(str(number), dir_fd=fd)
            path = f"/proc/self/fd/{fd}/{number}"
            os.setxattr(path, OPAQUE_XATTR if is_opaque else ORIGIN_XATTR, b"")
        yield fd
    finally:
        os.close(fd)
    remove_tree("made", directory_fd=beside_fd)


@contextmanager
def unmarked(beside_fd: int, are_opaque: Sequence[bool]) -> Iterator[int]:
    """A ``MarkedDirectories`` of a kernel that marks nothing."""
    raise SandboxError("no marks")
    yield -1


class Tree:
    """A tree in which directories lack their marks."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.ledger = Ledger()
        for path in (ROOT, "a", "a/b", "a/b/c", "other"):
            (top / path).mkdir(exist_ok=True)
            self.ledger.add_directory(EntryPath(path), mode=0o755, mtime_s=1)
        (top / "a/file").write_bytes(b"a")
        (top / "a/b/file").write_bytes(b"b")

    def lacks(self, *paths: str, opaque: Sequence[str] = ()) -> None:
        """Note what could not be marked."""
        self.ledger.unmarked.update(map(EntryPath, (*paths, *opaque)))
        self.ledger.opaque.update(map(EntryPath, opaque))

    def marks(self) -> dict[str, list[str]]:
        """Return the marks of all directories that have one."""
        directories = [path for path in self.top.rglob("*") if path.is_dir()]
        found = {os.fspath(path.relative_to(self.top)): os.listxattr(path) for path in directories}
        return {path: names for path, names in found.items() if names}


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    """A tree that holds the same files at the end."""
    tree = Tree(tmp_path)
    before, names = open_descriptors(), sorted(tmp_path.rglob("*"))
    yield tree
    assert open_descriptors() == before
    assert sorted(tmp_path.rglob("*")) == names
    assert (tmp_path / "a/file").read_bytes() + (tmp_path / "a/b/file").read_bytes() == b"ab"


def replaced(tree: Tree, *, refused: bool = False) -> None:
    """Call ``replace_unmarked``."""
    fd = os.open(tree.top, OPEN_DIRECTORY)
    try:
        replace_unmarked(fd, tree.ledger, unmarked if refused else marked)
    finally:
        os.close(fd)


def test_what_lacks_a_mark_gets_it_with_all_that_is_in_it(tree: Tree) -> None:
    tree.lacks("a/b/c", "a/b", opaque=["a"])
    replaced(tree)
    assert tree.marks() == {"a": [OPAQUE_XATTR], "a/b": [ORIGIN_XATTR], "a/b/c": [ORIGIN_XATTR]}
    assert not tree.ledger.unmarked


def test_the_root_and_what_is_gone_again_need_no_mark(tree: Tree) -> None:
    tree.lacks("gone", opaque=[ROOT, "a/gone"])
    replaced(tree)
    assert tree.marks() == {}


@pytest.mark.root
def test_the_owner_stays(tree: Tree) -> None:
    os.chown(tree.top / "other", 5, 6)
    tree.lacks("other")
    replaced(tree)
    status = (tree.top / "other").stat()
    assert (status.st_uid, status.st_gid) == (5, 6)
    assert tree.marks() == {"other": [ORIGIN_XATTR]}


def test_what_cannot_be_marked_is_known_to_lack_its_mark(tree: Tree) -> None:
    tree.lacks("other", opaque=["a/b"])
    replaced(tree, refused=True)
    assert tree.marks() == {}
    assert tree.ledger.unmarked == {"other", "a/b"}


def test_a_directory_without_room_for_a_mark_keeps_what_it_has(tree: Tree) -> None:
    os.setxattr(tree.top / "other", "user.x", b"1")
    tree.lacks("a/b", opaque=["other"])
    replaced(tree)
    assert tree.marks() == {"other": ["user.x"], "a/b": [ORIGIN_XATTR]}
    assert tree.ledger.unmarked == {"other"}
