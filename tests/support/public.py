"""Directories that every account can reach, named after the session so that they can be swept."""

import os
import tempfile
from pathlib import Path

from rootrun.layer.removal import remove_tree

PREFIX = "rrtest"


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
    """Remove ``path`` and all below it, which may be deeper than shutil.rmtree() goes."""
    parent_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_tree(path.name, directory_fd=parent_fd)
    finally:
        os.close(parent_fd)
