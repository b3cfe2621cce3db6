"""Copying and comparing the content of files."""

import os

_BLOCK = 1 << 24
_COMPARED_BLOCK = 1 << 20
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_content(source_fd: int, name: str, *, directory_fd: int | None) -> None:
    """Make the new file ``name`` in ``directory_fd``, of mode 0600, with all of ``source_fd``.

    Reads from where ``source_fd`` stands (sendfile(2)); raises OSError.
    """
    copy_fd = os.open(name, _CREATE, 0o600, dir_fd=directory_fd)
    try:
        while os.sendfile(copy_fd, source_fd, None, _BLOCK):
            pass
    finally:
        os.close(copy_fd)


def same_content(name: str, other_fd: int, *, directory_fd: int) -> bool:
    """Say whether ``name`` in ``directory_fd`` holds what ``other_fd`` has from where it stands."""
    descriptor = os.open(name, _OPEN_FILE, dir_fd=directory_fd)
    try:
        while True:
            block = os.read(descriptor, _COMPARED_BLOCK)
            if block != os.read(other_fd, _COMPARED_BLOCK):
                return False
            if not block:
                return True
    finally:
        os.close(descriptor)
