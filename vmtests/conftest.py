"""Fixtures: kernels, root file systems and machines, or the reason why there are none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vmtests.images import BASIC, Kernel, kernel, rootfs
from vmtests.machine import Machine
from vmtests.place import skipping

# Accounts and public directories; images with programs.
pytest_plugins = ["tests.conftest", "tests.e2e.programs.conftest"]


@pytest.fixture(scope="session")
def basic_rootfs() -> Path:
    """The root file system of most tests."""
    with skipping():
        return rootfs(BASIC)


@pytest.fixture(scope="session")
def usual_kernel() -> Kernel:
    """The kernel of most tests."""
    with skipping():
        return kernel("6.1")


@pytest.fixture
def machine(usual_kernel: Kernel, basic_rootfs: Path) -> Iterator[Machine]:
    """A machine with the usual kernel, which the test starts."""
    with skipping(), Machine(usual_kernel, basic_rootfs) as made:
        yield made
