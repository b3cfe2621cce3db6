"""Making what is copied in: 0:0, of the run's time, and never through a file that is there."""

import os
import stat
from collections.abc import Callable
from types import TracebackType

from rootrun.layer.attributes import set_directory_mode
from rootrun.layer.entry import EntryPath, join, parent
from rootrun.layer.removal import remove_tree
from rootrun.layer.tree import Directory, Tree, make_directory

_IMPLIED_MODE = 0o755
MakeNode = Callable[[str, int], None]  # of a name, in a directory


class Placing:
    """Makes files in the tree at ``root_fd``, with the time ``mtime_s``. A context manager.

    Where the tree has a symlink to a directory on the way, it is followed inside the tree.
    Directories that are there keep their metadata, but for the mode with ``sets_modes``; new ones
    get theirs at the end, as a mode may forbid to write into them.
    """

    def __init__(self, root_fd: int, *, mtime_s: int, sets_modes: bool = False) -> None:
        self._times = (mtime_s, mtime_s)
        self._sets_modes = sets_modes
        self._tree = Tree(root_fd, make=self._make)
        self._made: dict[EntryPath, int] = {}  # modes of directories, each after its parent

    def __enter__(self) -> "Placing":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._tree.forget()

    def has_directory(self, path: EntryPath) -> bool:
        """Say whether ``path`` leads to a directory."""
        return self._tree.find_directory(path) is not None

    def directory(self, path: EntryPath, mode: int) -> None:
        """Have a directory at ``path``, of ``mode`` if it is new or modes are set."""
        at = self._tree.resolve_directory(path).path
        if at in self._made or self._sets_modes:
            self._made[at] = mode

    def node(self, path: EntryPath, make: MakeNode, *, mode: int | None) -> None:
        """Have ``make`` make something at ``path``, where nothing is then; None: it has a mode."""
        name = path.rpartition("/")[2]
        at = self._cleared(parent(path), name)
        make(name, at.fd)
        if mode is not None:
            os.chmod(name, mode, dir_fd=at.fd)
        os.utime(name, self._times, dir_fd=at.fd, follow_symlinks=False)

    def hardlink(self, path: EntryPath, target: EntryPath) -> None:
        """Make ``path`` another name of ``target``, which must be there."""
        name = target.rpartition("/")[2]

        def link(new: str, directory_fd: int) -> None:
            source = self._tree.resolve_directory(parent(target))
            os.link(
                name,
                new,
                src_dir_fd=source.fd,
                dst_dir_fd=directory_fd,
                follow_symlinks=False,
            )

        if path != target:
            self.node(path, link, mode=None)

    def _make(self, directory: Directory, name: str) -> None:
        make_directory(directory, name)
        self._made[join(directory.path, name)] = _IMPLIED_MODE

    def _cleared(self, directory: EntryPath, name: str) -> Directory:
        """Remove what is at ``name`` in ``directory``, and return that."""
        at = self._tree.resolve_directory(directory)
        try:
            status = os.lstat(name, dir_fd=at.fd)
        except FileNotFoundError:
            return at
        remove_tree(name, directory_fd=at.fd)
        if stat.S_ISREG(status.st_mode):
            return at
        self._forget_made(join(at.path, name))
        self._tree.forget()  # what it knows may lead through what was removed
        return self._tree.resolve_directory(directory)

    def _forget_made(self, gone: EntryPath) -> None:
        if gone in self._made:
            self._made = {
                path: mode
                for path, mode in self._made.items()
                if path != gone and not path.startswith(f"{gone}/")
            }

    def _finish(self) -> None:
        for path, mode in reversed(self._made.items()):
            fd = self._tree.resolve_directory(path).fd
            set_directory_mode(fd, mode)
            os.utime(fd, self._times)
