"""Removing a tree, whatever its modes, depth and names."""

import os
import stat
from contextlib import suppress

from rootrun.layer.cursor import Cursor

_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are (stat(2))


class _OverBudgetError(Exception):
    """More is left than may be removed."""


class Budget:
    """How much may be removed at once: so many entries, that take so many bytes of the disk."""

    def __init__(self, *, entries: int, size_bytes: int) -> None:
        self._entries = entries
        self._size_bytes = size_bytes

    def spend(self, name: str, directory_fd: int) -> None:
        """Take ``name``, which is to be removed, off; raise where it is too much."""
        status = os.lstat(name, dir_fd=directory_fd)
        self._entries -= 1
        if status.st_nlink == 1:  # what has other names takes its room on
            self._size_bytes -= status.st_blocks * _BLOCK_BYTES
        if self._entries < 0 or self._size_bytes < 0:
            raise _OverBudgetError


def remove_tree(name: str, *, directory_fd: int, budget: Budget | None = None) -> bool:
    """Remove ``name`` in ``directory_fd`` and all below it, following no symlink.

    A missing ``name`` is fine. Directories without permissions (overlayfs leaves
    one of mode 000 in ``work``) are opened up first. Must run with the ids that
    made the tree: inside the user namespace for a tree made inside it. Returns whether
    all is gone: beyond ``budget`` the rest stays, and can be removed by another call.
    """
    try:
        _remove(name, directory_fd, budget)
    except _OverBudgetError:
        return False
    return True


def _remove(name: str, directory_fd: int, budget: Budget | None) -> None:
    try:
        status = os.lstat(name, dir_fd=directory_fd)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        _unlink(name, directory_fd, budget)
        return
    waiting = [[name]]  # of each directory on the way: the directories in it that are left
    with Cursor(directory_fd) as here:
        while waiting[0]:
            if waiting[-1]:
                _enter(here, waiting[-1][-1])
                waiting.append(_unlink_files(here.fd, budget))
            else:
                waiting.pop()
                here.leave()
                if budget is not None:
                    budget.spend(waiting[-1][-1], here.fd)
                os.rmdir(waiting[-1].pop(), dir_fd=here.fd)


def _enter(here: Cursor, name: str) -> None:
    try:
        here.enter(name)
    except PermissionError:
        os.chmod(name, stat.S_IRWXU, dir_fd=here.fd)
        here.enter(name)
    if os.fstat(here.fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(here.fd, stat.S_IRWXU)


def _unlink_files(directory_fd: int, budget: Budget | None) -> list[str]:
    """Remove what is no directory, and return the names of the directories."""
    with os.scandir(directory_fd) as scan:
        children = [(child.name, child.is_dir(follow_symlinks=False)) for child in scan]
    for name, is_directory in children:
        if not is_directory:
            with suppress(FileNotFoundError):  # readdir(3) of an overlay may tell of whiteouts
                _unlink(name, directory_fd, budget)
    return [name for name, is_directory in children if is_directory]


def _unlink(name: str, directory_fd: int, budget: Budget | None) -> None:
    if budget is not None:
        budget.spend(name, directory_fd)
    os.unlink(name, dir_fd=directory_fd)
