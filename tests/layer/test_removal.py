"""Trees go whatever they hold, and nothing beside them does."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootrun.layer.removal import Budget, remove_tree
from tests.support.program import run_python
from tests.support.stacks import OPEN_DIRECTORY, make_deep, open_descriptors
from tests.support.users import Account


@pytest.fixture
def parent_fd(deep_path: Path) -> Iterator[int]:
    """A descriptor of ``deep_path``, in which ``tree`` is to be removed."""
    (deep_path / "beside").mkdir()
    (deep_path / "beside" / "kept").touch()
    fd = os.open(deep_path, OPEN_DIRECTORY)
    yield fd
    os.close(fd)
    assert sorted(os.listdir(deep_path)) == ["beside"]
    assert os.listdir(deep_path / "beside") == ["kept"]


def test_a_missing_tree_is_fine(parent_fd: int) -> None:
    remove_tree("tree", directory_fd=parent_fd)


def test_a_file_is_removed(deep_path: Path, parent_fd: int) -> None:
    (deep_path / "tree").touch()
    remove_tree("tree", directory_fd=parent_fd)


def test_symlinks_are_removed_and_not_followed(deep_path: Path, parent_fd: int) -> None:
    (deep_path / "tree").mkdir()
    (deep_path / "tree" / "link").symlink_to(deep_path / "beside")
    remove_tree("tree", directory_fd=parent_fd)
    (deep_path / "tree").symlink_to(deep_path / "beside")
    remove_tree("tree", directory_fd=parent_fd)


def test_every_kind_of_file_is_removed(deep_path: Path, parent_fd: int) -> None:
    tree = deep_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "latin-\udce9\n").touch()
    os.mkfifo(tree / "fifo")
    os.mknod(tree / "whiteout", stat.S_IFCHR)
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(tree, OPEN_DIRECTORY)
        listener.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    remove_tree("tree", directory_fd=parent_fd)


def test_trees_deeper_than_pythons_recursion_are_removed(deep_path: Path, parent_fd: int) -> None:
    (deep_path / "tree").mkdir()
    make_deep(deep_path / "tree", 3000)
    (deep_path / "tree" / "d" / "d" / "file").touch()
    before = open_descriptors()
    remove_tree("tree", directory_fd=parent_fd)
    assert open_descriptors() == before


def test_beyond_a_budget_the_rest_stays(deep_path: Path, parent_fd: int) -> None:
    for name in "abc":
        (deep_path / "tree" / name).mkdir(parents=True)
        (deep_path / "tree" / name / "file").touch()
    before = open_descriptors()
    assert not remove_tree("tree", directory_fd=parent_fd, budget=of(entries=5))
    assert len(list((deep_path / "tree").rglob("*"))) == 1
    assert not remove_tree("tree", directory_fd=parent_fd, budget=of(entries=1))
    assert remove_tree("tree", directory_fd=parent_fd, budget=of(entries=1))
    assert open_descriptors() == before


@pytest.mark.parametrize("links", [1, 2])
def test_a_file_that_takes_too_much_of_the_disk_stays(
    links: int, deep_path: Path, parent_fd: int
) -> None:
    (deep_path / "tree").write_bytes(bytes(1 << 16))
    if links > 1:
        os.link(deep_path / "tree", deep_path / "other")
    is_gone = remove_tree("tree", directory_fd=parent_fd, budget=of(size_bytes=1000))
    assert is_gone == (links > 1)  # what has other names takes its room on
    remove_tree("tree", directory_fd=parent_fd)
    remove_tree("other", directory_fd=parent_fd)


def of(*, entries: int = 1 << 30, size_bytes: int = 1 << 30) -> Budget:
    """Return a budget that is small where it is said."""
    return Budget(entries=entries, size_bytes=size_bytes)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o500, 0o600], ids=oct)
def test_directories_without_permissions_are_opened_up(mode: int, tester: Account) -> None:
    home = tester.new_directory()
    done = run_python(
        f"""
import os
from rootrun.layer.removal import Budget, remove_tree
os.makedirs("tree/a/b")
open("tree/a/b/file", "w").close()
os.chmod("tree/a/b", {mode})
os.chmod("tree/a", {mode})
os.chmod("tree", {mode})
remove_tree("tree", directory_fd=os.open(".", os.O_RDONLY))
""",
        account=tester,
        cwd=home,
    )
    assert done.returncode == 0, done.stderr.decode()
    home.rmdir()  # it is empty
