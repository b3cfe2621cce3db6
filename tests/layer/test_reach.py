"""Paths are reached below a directory also where both together are longer than PATH_MAX."""

import os
import time
from pathlib import Path

import pytest

from rootrun.layer.entry import EntryPath
from rootrun.layer.reach import lstat_at, reach
from tests.support.stacks import OPEN_DIRECTORY, make_deep, open_descriptors

NAME = "n" * 255
DEPTH = 15  # of such names: with the path of tmp_path, longer than 4096 bytes


@pytest.fixture
def top(deep_path: Path) -> str:
    """A directory with a path of 3840 bytes in it, at whose end is a file."""
    tree = deep_path / "tree" / ("t" * 255)
    tree.mkdir(parents=True)
    make_deep(tree, DEPTH, name=NAME)
    fd = os.open(tree, OPEN_DIRECTORY)
    for _ in range(DEPTH):
        below = os.open(NAME, OPEN_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, 0o640, dir_fd=fd))
    os.symlink("/", "link", dir_fd=fd)
    os.close(fd)
    return os.fspath(tree)


def test_a_long_path_is_reached(top: str) -> None:
    path = EntryPath("/".join([NAME] * DEPTH + ["file"]))
    before = open_descriptors()
    with pytest.raises(OSError, match="File name too long"):
        os.lstat(f"{top}/{path}")
    status = lstat_at(top, path)
    assert status is not None
    assert status.st_mode & 0o777 == 0o640
    assert open_descriptors() == before


def test_what_is_missing_at_a_long_path_is_none(top: str) -> None:
    before = open_descriptors()
    assert lstat_at(top, EntryPath("/".join([NAME] * DEPTH + ["gone"]))) is None
    assert lstat_at(top, EntryPath("/".join([NAME, "gone", *[NAME] * DEPTH]))) is None
    assert open_descriptors() == before


def test_no_symlink_is_followed_on_a_long_way(top: str) -> None:
    path = EntryPath("/".join([NAME] * DEPTH + ["link", "etc"]))
    with pytest.raises(NotADirectoryError), reach(top, path):
        raise AssertionError("went through a symlink")


@pytest.mark.parametrize("path", ["", NAME], ids=["top", "child"])
def test_a_short_path_costs_no_descriptor(path: str, top: str) -> None:
    with reach(top, EntryPath(path)) as (directory_fd, name):
        assert directory_fd is None
        assert os.path.isdir(name)


def test_a_deep_path_is_reached_in_few_steps(deep_path: Path) -> None:
    """A layer of one file may have 2000 directories, each of which is asked for."""
    tree = deep_path / "tree"
    tree.mkdir()
    make_deep(tree, 1900)
    started = time.process_time()
    for _ in range(2000):
        assert lstat_at(os.fspath(tree), EntryPath("d/" * 1899 + "d")) is not None
    assert time.process_time() - started < 2


def test_nothing_has_a_name_that_is_too_long(tmp_path: Path) -> None:
    for path in ("n" * 256, f"d/{'n' * 300}/x"):
        assert lstat_at(os.fspath(tmp_path), EntryPath(path)) is None
