"""Where what is downloaded and built is kept, and what happens where a piece is missing."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
GUEST = Path(__file__).parent / "guest"
CACHE = Path(os.environ.get("ROOTRUN_VM_CACHE") or CHECKOUT / "build" / "vm")
MUST_BOOT = os.environ.get("ROOTRUN_VMTEST_REQUIRE") == "1"
"""Set where a skip would hide that nothing was booted."""


class MissingPieceError(Exception):
    """A program, a kernel or a root file system that is not to be had here, and why."""


def needed(piece: object, reason: str) -> None:
    """Raise MissingPieceError with ``reason`` unless ``piece`` is something."""
    if not piece:
        raise MissingPieceError(reason)


def needed_program(name: str, package: str) -> str:
    """Return the path of an installed program."""
    path = shutil.which(name)
    if path is None:
        raise MissingPieceError(f"{name} is not installed (Debian: {package})")
    return path


@contextmanager
def skipping() -> Iterator[None]:
    """Skip the test that lacks a piece, or fail it where all must boot."""
    try:
        yield
    except MissingPieceError as error:
        if MUST_BOOT:
            pytest.fail(f"ROOTRUN_VMTEST_REQUIRE=1, but {error}", pytrace=False)
        pytest.skip(str(error))


@contextmanager
def cache_locked() -> Iterator[Path]:
    """Hold the cache for one maker, and return its directory."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield CACHE
