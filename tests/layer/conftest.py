"""Fixtures for layers."""

import os

import pytest

from tests.support.require import require


@pytest.fixture
def as_root() -> None:
    """Skip what only root can do: give files away, and read what has no permissions."""
    require(os.geteuid() == 0, "giving files away and reading all of them needs root")
