"""Removing a tree, whatever its modes, depth and names."""

import os
import stat

_DEPTH_LIMIT = 200  # descriptors held at once; what is deeper is moved up first


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
    top_fd = _open_directory(name, directory_fd=directory_fd)
    try:
        while _empty(top_fd, top_fd=top_fd, depth=0):
            pass
    finally:
        os.close(top_fd)
    os.rmdir(name, dir_fd=directory_fd)


def _empty(directory_fd: int, *, top_fd: int, depth: int) -> bool:
    """Empty one directory; True if deep subtrees were moved to the top and wait there."""
    moved = False
    with os.scandir(directory_fd) as scan:
        children = [(child.name, child.is_dir(follow_symlinks=False)) for child in scan]
    for name, is_directory in children:
        if not is_directory:
            os.unlink(name, dir_fd=directory_fd)
        elif depth >= _DEPTH_LIMIT:
            # The inode number makes the name unique: all of these are of one file system.
            inode = os.lstat(name, dir_fd=directory_fd).st_ino
            os.rename(name, f".removing-{inode}", src_dir_fd=directory_fd, dst_dir_fd=top_fd)
            moved = True
        else:
            child_fd = _open_directory(name, directory_fd=directory_fd)
            try:
                moved |= _empty(child_fd, top_fd=top_fd, depth=depth + 1)
            finally:
                os.close(child_fd)
            os.rmdir(name, dir_fd=directory_fd)
    return moved


def _open_directory(name: str, *, directory_fd: int) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=directory_fd)
        mode = os.fstat(descriptor).st_mode
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            os.fchmod(descriptor, stat.S_IRWXU)
    except PermissionError:
        os.chmod(name, stat.S_IRWXU, dir_fd=directory_fd)
        descriptor = os.open(name, flags, dir_fd=directory_fd)
    return descriptor
