"""Entering directories of a tree: by descriptors, never out of it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootrun.errors import LayerError, UnsafeEntryError
from rootrun.layer.entry import EntryPath
from rootrun.layer.tree import Tree
from rootrun.layer.walk import walk_tree


@pytest.fixture
def tree(deep_path: Path) -> Iterator[Tree]:
    """A tree in ``deep_path/tree``, with a directory beside it that must never be entered."""
    (deep_path / "outside").mkdir()
    (deep_path / "tree").mkdir()
    fd = os.open(deep_path / "tree", os.O_RDONLY)
    try:
        with Tree(fd) as opened:
            yield opened
    finally:
        os.close(fd)


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_missing_directories_are_made_with_mode_0755(tmp_path: Path, tree: Tree) -> None:
    before = os.umask(0o077)
    try:
        found = tree.resolve_directory(EntryPath("a/b"))
    finally:
        os.umask(before)
    assert found.path == "a/b"
    assert os.path.samestat(os.fstat(found.fd), (tmp_path / "tree/a/b").stat())
    assert stat.S_IMODE((tmp_path / "tree/a").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "tree/a/b").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("real", "real/x"),
        ("/real", "real/x"),
        ("../../../real", "real/x"),
        ("real/../real/./", "real/x"),
        ("/", "x"),
        (".", "x"),
        ("../outside", "outside/x"),
    ],
)
def test_symlink_leads_inside(tmp_path: Path, tree: Tree, target: str, path: str) -> None:
    (tmp_path / "tree/real").mkdir()
    (tmp_path / "tree/l").symlink_to(target)
    assert tree.resolve_directory(EntryPath("l/x")).path == path
    assert (tmp_path / "tree" / path).is_dir()
    assert os.listdir(tmp_path / "outside") == []


def test_finding_makes_nothing(tmp_path: Path, tree: Tree) -> None:
    (tmp_path / "tree/l").symlink_to("nowhere")
    (tmp_path / "tree/f").write_bytes(b"")
    for path in ("a", "a/b", "l", "l/x", "f", "f/x"):
        assert tree.find_directory(EntryPath(path)) is None
    assert sorted(os.listdir(tmp_path / "tree")) == ["f", "l"]


def test_file_in_the_way_is_an_error(tmp_path: Path, tree: Tree) -> None:
    (tmp_path / "tree/f").write_bytes(b"")
    with pytest.raises(LayerError, match="'f': is not a directory"):
        tree.resolve_directory(EntryPath("f/x"))


def test_loop_is_an_error(tmp_path: Path, tree: Tree) -> None:
    (tmp_path / "tree/a").symlink_to("b")
    (tmp_path / "tree/b").symlink_to("a")
    with pytest.raises(UnsafeEntryError, match="'a/x': too many symlinks"):
        tree.resolve_directory(EntryPath("a/x"))


def test_descriptors_are_few_and_closed(tmp_path: Path, tree: Tree) -> None:
    before = _open_descriptors()
    for number in range(1000):
        tree.resolve_directory(EntryPath(f"d{number}/x"))
    tree.resolve_directory(EntryPath("/".join("d" * 1000)))
    assert _open_descriptors() - before <= 256
    tree.forget()
    assert _open_descriptors() == before


def test_descriptors_are_closed_after_an_error(tmp_path: Path, tree: Tree) -> None:
    (tmp_path / "tree/a/b").mkdir(parents=True)
    (tmp_path / "tree/a/b/f").write_bytes(b"")
    before = _open_descriptors()
    with pytest.raises(LayerError):
        tree.resolve_directory(EntryPath("a/b/f/x"))
    assert _open_descriptors() == before


def test_walk_sees_everything_parents_first(tmp_path: Path) -> None:
    for path in ("a/b/c", "a/d", "e"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "a/b/f").write_bytes(b"")
    (tmp_path / "a/l").symlink_to("/")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        before = _open_descriptors()
        paths = [visited.path for visited in walk_tree(fd, EntryPath("top"))]
        assert _open_descriptors() == before
    finally:
        os.close(fd)
    assert sorted(paths) == [
        "top/a", "top/a/b", "top/a/b/c", "top/a/b/f", "top/a/d", "top/a/l", "top/e",
    ]  # fmt: skip
    assert all(path.rpartition("/")[0] in ("top", *paths[:index])
               for index, path in enumerate(paths))  # fmt: skip
