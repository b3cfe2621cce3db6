"""Copying the content of a file, inside the kernel."""

import os

_BLOCK = 1 << 24
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
