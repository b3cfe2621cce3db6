"""What a seccomp filter above this process forbids: in a Nix build, set-id modes and xattrs."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SET_UID_MODE = 0o4700
_NOWHERE = 0x7FFFFFFF  # a descriptor that nobody can have open
_XATTR = "user.rootrun.probe"
_REFUSALS = {errno.EPERM, errno.ENOTSUP}


def is_filtered_for_set_ids() -> bool:
    """Say whether a filter refuses set-id modes or extended attributes, on any disk.

    It has its word before the kernel looks at what the call is about.
    """
    try:
        os.fchmod(_NOWHERE, _SET_UID_MODE)
    except OSError as error:
        if error.errno != errno.EBADF:
            return True
    try:
        os.setxattr(_NOWHERE, _XATTR, b"")
    except OSError as error:
        return error.errno != errno.EBADF
    raise AssertionError("the descriptor is open")


def refuses_set_ids(directory: Path) -> bool:
    """Say whether set-id modes or extended attributes are refused to files of ``directory``.

    It must be on a disk that has them, and this process root of its namespace.
    """
    with file_beside(directory) as fd:
        try:
            os.fchmod(fd, _SET_UID_MODE)
            os.setxattr(fd, _XATTR, b"")
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            return True
    return False


@contextmanager
def file_beside(directory: Path) -> Iterator[int]:
    """Make a file on the file system of ``directory``, and yield its descriptor.

    It is gone from the directory above, which must be ours to write to, at once.
    """
    # Before Linux 6.3 overlayfs has no O_TMPFILE.
    path = f"{directory}.{os.urandom(6).hex()}"
    fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.unlink(path)
        yield fd
    finally:
        os.close(fd)
