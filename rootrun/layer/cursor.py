"""A place in a tree that moves by single names, at one descriptor whatever the depth."""

import errno
import os
from types import TracebackType

from rootrun.layer.entry import ROOT, EntryPath, join, parent

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Cursor:
    """An open directory of a tree: ``fd`` is good until the next move. A context manager.

    The way up is ``..``; that it leads back to where the cursor came from is
    checked, so that a directory moved meanwhile cannot lead it out of the tree.
    """

    def __init__(self, top_fd: int, top: EntryPath = ROOT) -> None:
        self.fd = os.dup(top_fd)
        self.path = top
        self._above: list[tuple[int, int]] = []

    def __enter__(self) -> "Cursor":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self.fd)

    def enter(self, name: str) -> None:
        """Move down to the directory ``name``, no symlink; stay where it is on OSError."""
        below = os.open(name, _OPEN_DIRECTORY, dir_fd=self.fd)
        self._above.append(_identity(self.fd))
        self._move(below, join(self.path, name))

    def leave(self) -> None:
        """Move up again. Raises OSError (ESTALE) if that leads somewhere else by now."""
        self._move(os.open("..", _OPEN_DIRECTORY, dir_fd=self.fd), parent(self.path))
        if _identity(self.fd) != self._above.pop():
            raise OSError(errno.ESTALE, "a directory was moved meanwhile", self.path)

    def _move(self, fd: int, path: EntryPath) -> None:
        os.close(self.fd)
        self.fd, self.path = fd, path


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
