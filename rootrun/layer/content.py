"""Copying and comparing the content of files."""

import errno
import os
from collections.abc import Iterator

_BLOCK = 1 << 24
_COMPARED_BLOCK = 1 << 20
_STAT_BLOCK = 512  # bytes, whatever the file system's (inode(7))
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_content(source_fd: int, name: str, *, directory_fd: int | None) -> None:
    """Make the new file ``name`` in ``directory_fd``, of mode 0600, with all of ``source_fd``.

    ``source_fd`` stands at its beginning. Raises OSError.
    """
    copy_fd = os.open(name, _CREATE, 0o600, dir_fd=directory_fd)
    try:
        fill(copy_fd, source_fd)
    finally:
        os.close(copy_fd)


def fill(target_fd: int, source_fd: int) -> None:
    """Write all of ``source_fd``, which stands at its beginning, to the empty file ``target_fd``.

    Holes stay holes: an image can have one of terabytes. Raises OSError.
    """
    status = os.fstat(source_fd)
    if not has_holes(status):  # nor has a file of /proc, which says that it is empty
        while os.sendfile(target_fd, source_fd, None, _BLOCK):
            pass
        return
    for start, end in data_of(source_fd, status):
        position = os.lseek(target_fd, start, os.SEEK_SET)
        while sent := os.sendfile(target_fd, source_fd, position, end - position):
            position += sent
    os.ftruncate(target_fd, status.st_size)


def has_holes(status: os.stat_result) -> bool:
    """Say whether a file, of which this is fstat(2), may have less on the disk than its size."""
    return status.st_blocks * _STAT_BLOCK < status.st_size


def data_of(source_fd: int, status: os.stat_result) -> Iterator[tuple[int, int]]:
    """Yield from where to where a file, of which ``status`` is fstat(2), has data."""
    size = status.st_size
    if not has_holes(status):
        yield 0, size
        return
    end = 0
    while end < size:
        try:
            start = os.lseek(source_fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # a hole up to the end (lseek(2))
                raise
            return
        end = os.lseek(source_fd, start, os.SEEK_HOLE)
        yield start, end


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
