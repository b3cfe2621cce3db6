"""Fixtures for layers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootrun.layer.removal import remove_tree
from tests.support.require import require


@pytest.fixture
def deep_path(tmp_path: Path) -> Iterator[Path]:
    """A fresh directory in which ``tree`` may become deeper than pytest could remove."""
    yield tmp_path
    directory_fd = os.open(tmp_path, os.O_RDONLY)
    try:
        remove_tree("tree", directory_fd=directory_fd)
    finally:
        os.close(directory_fd)


@pytest.fixture
def as_root() -> None:
    """Skip what only root can do: give files away, and read what has no permissions."""
    require(os.geteuid() == 0, "giving files away and reading all of them needs root")
