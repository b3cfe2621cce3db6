"""Reaching paths below a directory of this host, also where both together are too long."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rootrun.layer.entry import EntryPath

_LIMIT = 1000  # characters: PATH_MAX is 4096 bytes, and a character has up to four
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def lstat_at(top: str, path: EntryPath) -> os.stat_result | None:
    """Return what lstat(2) says of ``path`` below the directory ``top``, None for nothing."""
    try:
        with reach(top, path) as (directory_fd, name):
            return os.lstat(name, dir_fd=directory_fd)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        # A name longer than any file's, as the target of a symlink may have.
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise


@contextmanager
def reach(top: str, path: EntryPath) -> Iterator[tuple[int | None, str]]:
    """Yield a ``dir_fd`` and a name that lead to ``path`` below the directory ``top``.

    The path of a layer may be as long as the kernel takes one; the cache's own
    path comes on top. The caller knows that no directory on the way is a symlink.
    Raises OSError.
    """
    full = f"{top}/{path}" if path else top
    if len(full) < _LIMIT:
        yield None, full
        return
    way, _, last = path.rpartition("/")
    directory_fd = os.open(top, _STEP)
    try:
        for stretch in _stretches(way):
            below_fd = os.open(stretch, _STEP, dir_fd=directory_fd)
            os.close(directory_fd)
            directory_fd = below_fd
        yield directory_fd, last
    finally:
        os.close(directory_fd)


def _stretches(path: str) -> Iterator[str]:
    """Yield the parts of ``path``, each as long as one call takes it: it may have 2000 names."""
    start = 0
    while len(path) - start >= _LIMIT:
        end = path.rindex("/", start, start + _LIMIT)
        yield path[start:end]
        start = end + 1
    if path[start:]:
        yield path[start:]
