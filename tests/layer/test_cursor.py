"""A cursor goes down and up in trees of any depth, and never leaves them."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootrun.layer.cursor import Cursor
from tests.support.stacks import OPEN_DIRECTORY, make_deep, open_descriptors

DEPTH = 3000


@pytest.fixture
def tree_fd(deep_path: Path) -> Iterator[int]:
    """A descriptor of ``deep_path/tree``."""
    (deep_path / "tree").mkdir()
    fd = os.open(deep_path / "tree", OPEN_DIRECTORY)
    yield fd
    os.close(fd)


def test_depth_costs_one_descriptor(deep_path: Path, tree_fd: int) -> None:
    make_deep(deep_path / "tree", DEPTH)
    before = open_descriptors()
    with Cursor(tree_fd) as here:
        for _ in range(DEPTH):
            here.enter("d")
        assert len(here.path) == 2 * DEPTH - 1
        assert os.listdir(here.fd) == []
        assert len(open_descriptors() - before) == 1
        for _ in range(DEPTH):
            here.leave()
        assert here.path == ""
        assert os.path.sameopenfile(here.fd, tree_fd)
    assert open_descriptors() == before


@pytest.mark.parametrize("name", ["link", "file", "gone"])
def test_what_is_no_directory_is_not_entered(name: str, deep_path: Path, tree_fd: int) -> None:
    (deep_path / "tree" / "file").touch()
    (deep_path / "tree" / "link").symlink_to("/")
    before = open_descriptors()
    with Cursor(tree_fd) as here:
        with pytest.raises(OSError, match=name):
            here.enter(name)
        assert os.path.sameopenfile(here.fd, tree_fd)
    assert open_descriptors() == before


def test_a_directory_that_is_moved_meanwhile_leads_nowhere(deep_path: Path, tree_fd: int) -> None:
    (deep_path / "tree" / "a" / "b").mkdir(parents=True)
    with Cursor(tree_fd) as here:
        here.enter("a")
        here.enter("b")
        (deep_path / "tree" / "a" / "b").rename(deep_path / "b")
        with pytest.raises(OSError, match="moved meanwhile") as raised:
            here.leave()
    assert raised.value.errno == errno.ESTALE
