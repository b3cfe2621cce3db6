"""Making small files in the root of a run, before the script, through no symlink out of it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rootrun.errors import LayerError
from rootrun.layer.entry import EntryPath, parent
from rootrun.layer.removal import remove_tree
from rootrun.layer.tree import Tree

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class RootFiles:
    """The files of a root. Directories that are missing on the way are made, with mode 0755.

    A symlink to a directory is followed inside the root, the last component never. What is made
    belongs to 0:0 and has the time ``mtime_s``. All raise OSError, and LayerError for a file where
    a directory should be.
    """

    def __init__(self, tree: Tree, *, mtime_s: int) -> None:
        self.tree = tree
        self._times = (mtime_s, mtime_s)

    def has(self, path: EntryPath) -> bool:
        """Say whether anything is at ``path``, a dangling symlink too."""
        directory = self.tree.find_directory(parent(path))
        if directory is None:
            return False
        try:
            os.lstat(_name(path), dir_fd=directory.fd)
        except FileNotFoundError:
            return False
        return True

    def write(self, path: EntryPath, content: bytes, *, mode: int) -> None:
        """Make a file, in place of what is there."""
        directory = self.tree.resolve_directory(parent(path))
        remove_tree(_name(path), directory_fd=directory.fd)
        fd = os.open(_name(path), _CREATE, 0o600, dir_fd=directory.fd)
        with open(fd, "wb") as file:
            file.write(content)
            os.fchmod(fd, mode)
            file.flush()
            os.utime(fd, self._times)

    @contextmanager
    def opened(self, path: EntryPath) -> Iterator[int]:
        """Open the file at ``path`` for reading; raises LayerError for what is no file."""
        directory = self.tree.resolve_directory(parent(path))
        try:
            fd = os.open(_name(path), _OPEN_FILE, dir_fd=directory.fd)
        except OSError as error:  # which names the last component alone
            raise OSError(error.errno, error.strerror, f"/{path}") from error
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise LayerError(f"/{path}: is no file")
            yield fd
        finally:
            os.close(fd)

    def read(self, path: EntryPath) -> bytes:
        """Return the content of the file at ``path``."""
        with self.opened(path) as fd, open(fd, "rb", closefd=False) as file:
            return file.read()

    def remove(self, path: EntryPath) -> None:
        """Remove what is at ``path``, if anything is."""
        directory = self.tree.find_directory(parent(path))
        if directory is not None:
            remove_tree(_name(path), directory_fd=directory.fd)

    def link(self, path: EntryPath, target: str) -> None:
        """Make a symlink to ``target`` where nothing is."""
        directory = self.tree.resolve_directory(parent(path))
        os.symlink(target, _name(path), dir_fd=directory.fd)
        os.utime(_name(path), self._times, dir_fd=directory.fd, follow_symlinks=False)

    def make_directory(self, path: EntryPath, *, mode: int) -> None:
        """Make a directory where nothing is."""
        directory = self.tree.resolve_directory(path)
        os.fchmod(directory.fd, mode)
        os.utime(directory.fd, self._times)


def _name(path: EntryPath) -> str:
    return path.rpartition("/")[2]


@contextmanager
def root_files(root: Path, *, mtime_s: int) -> Iterator[RootFiles]:
    """Open the root mounted at ``root``."""
    root_fd = os.open(root, _OPEN_DIRECTORY)
    try:
        with Tree(root_fd) as tree:
            yield RootFiles(tree, mtime_s=mtime_s)
    finally:
        os.close(root_fd)
