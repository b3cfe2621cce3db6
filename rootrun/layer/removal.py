"""Removing a tree, whatever its modes, depth and names."""

import os
import stat
from contextlib import suppress

from rootrun.layer.cursor import Cursor


def remove_tree(name: str, *, directory_fd: int) -> None:
    """Remove ``name`` in ``directory_fd`` and all below it, following no symlink.

    A missing ``name`` is fine. Directories without permissions (overlayfs leaves
    one of mode 000 in ``work``) are opened up first. Must run with the ids that
    made the tree: inside the user namespace for a tree made inside it.
    """
    try:
        status = os.lstat(name, dir_fd=directory_fd)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=directory_fd)
        return
    waiting = [[name]]  # of each directory on the way: the directories in it that are left
    with Cursor(directory_fd) as here:
        while waiting[0]:
            if waiting[-1]:
                _enter(here, waiting[-1][-1])
                waiting.append(_unlink_files(here.fd))
            else:
                waiting.pop()
                here.leave()
                os.rmdir(waiting[-1].pop(), dir_fd=here.fd)


def _enter(here: Cursor, name: str) -> None:
    try:
        here.enter(name)
    except PermissionError:
        os.chmod(name, stat.S_IRWXU, dir_fd=here.fd)
        here.enter(name)
    if os.fstat(here.fd).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.fchmod(here.fd, stat.S_IRWXU)


def _unlink_files(directory_fd: int) -> list[str]:
    """Remove what is no directory, and return the names of the directories."""
    with os.scandir(directory_fd) as scan:
        children = [(child.name, child.is_dir(follow_symlinks=False)) for child in scan]
    for name, is_directory in children:
        if not is_directory:
            with suppress(FileNotFoundError):  # readdir(3) of an overlay may tell of whiteouts
                os.unlink(name, dir_fd=directory_fd)
    return [name for name, is_directory in children if is_directory]
