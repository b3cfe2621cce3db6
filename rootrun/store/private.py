"""Directories that are their owner's alone."""

import os
import stat
from pathlib import Path

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
"""The mode bits that let others change a directory."""


def make_private_directory(directory: Path) -> None:
    """Make ``directory`` with mode 0700, whatever the umask, and what is missing above it.

    One that is there is left as it is. Raises OSError.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if not directory.is_dir():
            raise
    else:
        directory.chmod(0o700)


def is_private_directory(directory: Path) -> bool:
    """Say whether ``directory`` is one, of the caller's, that nobody else can write to.

    A symlink is none, wherever it leads.
    """
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return is_ours and not status.st_mode & OTHERS_WRITE


def is_own_directory(directory: Path) -> bool:
    """Say whether nobody else can have made what is in ``directory``, and it can be written to."""
    try:
        is_ours = os.stat(directory).st_uid == os.geteuid()
    except OSError:
        return False
    return is_ours and os.access(directory, os.W_OK | os.X_OK)
