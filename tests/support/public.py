"""Directories that every account can reach, named after the session so that they can be swept."""

import os
import tempfile
import time
from pathlib import Path

from rootrun.layer.removal import remove_tree

PREFIX = "rrtest"
_GONE_WITHIN_S = 60


def is_open(directory: Path) -> bool:
    """Say whether every account can walk through ``directory`` and all above it."""
    resolved = directory.resolve()
    return all(path.stat().st_mode & 0o001 for path in (resolved, *resolved.parents))


def public_parent() -> Path:
    """Return where public directories are made: the usual place, unless it is somebody's own."""
    usual = Path(tempfile.gettempdir())
    return usual if is_open(usual) else Path("/tmp")


def make_public_directory(name: str) -> Path:
    """Make a fresh directory of mode 0755 for this session; the caller removes it."""
    prefix = f"{PREFIX}{os.getpid()}-{name}-"
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=public_parent()))
    path.chmod(0o755)
    return path


def remove_directory(path: Path) -> None:
    """Remove ``path`` and all below it, which may be deeper than shutil.rmtree() goes.

    The remover of a large scratch tree may be at work in it: what that one took is gone as well.
    """
    deadline_s = time.monotonic() + _GONE_WITHIN_S
    parent_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while not _is_removed(path.name, parent_fd):
            if time.monotonic() > deadline_s:
                raise TimeoutError(path)
    finally:
        os.close(parent_fd)


def _is_removed(name: str, directory_fd: int) -> bool:
    try:
        return remove_tree(name, directory_fd=directory_fd)
    except FileNotFoundError:
        return False
