"""Walking a tree of any depth with two descriptors."""

import os
import stat
from collections.abc import Iterator

from rootrun.layer.entry import EntryPath, join, parent
from rootrun.namedtuple import NamedTuple

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Visited(NamedTuple):
    """A path of the tree; ``directory_fd`` is good until the next one is asked for."""

    path: EntryPath
    directory_fd: int
    name: str
    status: os.stat_result


def walk_tree(top_fd: int, top: EntryPath) -> Iterator[Visited]:
    """Yield all that is below the directory ``top_fd``, whose path is ``top``, parents first.

    Follows no symlink. Nobody else may change the tree meanwhile: the way up is
    ``..``, so that the depth does not cost descriptors. Raises OSError.
    """
    here, here_fd = top, os.open(".", _OPEN_DIRECTORY, dir_fd=top_fd)
    waiting: list[list[str]] = []  # of each directory from the top to here: what is not seen yet
    try:
        while True:
            directories: list[str] = []
            yield from _visit(here, here_fd, directories)
            waiting.append(directories)
            while not waiting[-1]:
                waiting.pop()
                if not waiting:
                    return
                here, here_fd = parent(here), _moved(here_fd, "..")
            name = waiting[-1].pop()
            here, here_fd = join(here, name), _moved(here_fd, name)
    finally:
        os.close(here_fd)


def _moved(fd: int, name: str) -> int:
    moved = os.open(name, _OPEN_DIRECTORY, dir_fd=fd)
    os.close(fd)
    return moved


def _visit(path: EntryPath, fd: int, directories: list[str]) -> Iterator[Visited]:
    with os.scandir(fd) as scan:
        names = [child.name for child in scan]
    for name in names:
        status = os.lstat(name, dir_fd=fd)
        if stat.S_ISDIR(status.st_mode):
            directories.append(name)
        yield Visited(join(path, name), fd, name, status)
