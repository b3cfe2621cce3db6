"""A tree of files that is entered by descriptors only, one name at a time.

Symlinks on the way are followed as a process would that has the tree as its
root directory: absolute targets start at the tree's root, ``..`` stays in it.
Nothing outside can be reached, whatever the tree holds.
"""

import errno
import os
from collections.abc import Mapping
from types import TracebackType

from rootrun.annotation import Protocol
from rootrun.errors import LayerError, UnsafeEntryError
from rootrun.layer.entry import ROOT, EntryPath, join, parent
from rootrun.namedtuple import NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SYMLINK_LIMIT = 40  # as the kernel: path_resolution(7)
_CACHE_LIMIT = 256
_IMPLIED_MODE = 0o755
_NO_REDIRECTS: Mapping[EntryPath, EntryPath] = {}


class Directory(NamedTuple):
    """An open directory and its path, in which no component is a symlink."""

    fd: int
    path: EntryPath


class MakeDirectory(Protocol):
    """Makes a directory that is missing on the way to another one."""

    def __call__(self, directory: Directory, name: str, /) -> None:
        """Make ``name`` in ``directory``; raise LayerError if something is in the way."""
        ...


def make_directory(directory: Directory, name: str) -> None:
    """Make ``name`` in ``directory`` with mode 0755, whatever the umask."""
    path = join(directory.path, name)
    try:
        os.mkdir(name, _IMPLIED_MODE, dir_fd=directory.fd)
    except FileExistsError as error:
        raise LayerError(f"make directory: {path!r}: is not a directory") from error
    fd = os.open(name, _DIRECTORY, dir_fd=directory.fd)
    try:
        os.fchmod(fd, _IMPLIED_MODE)
    finally:
        os.close(fd)


class Tree:
    """The tree below ``root_fd``, which stays the caller's. A context manager.

    ``redirects``: a directory that is missing at a key is the one at its value.
    ``make`` makes the directories that are missing otherwise.
    """

    def __init__(
        self,
        root_fd: int,
        *,
        redirects: Mapping[EntryPath, EntryPath] = _NO_REDIRECTS,
        make: MakeDirectory = make_directory,
    ) -> None:
        self._root = Directory(root_fd, ROOT)
        self._redirects = redirects
        self._make = make
        self._open: dict[EntryPath, Directory] = {}  # by the path asked for, oldest use first
        self._last_path, self._last = ROOT, self._root

    def __enter__(self) -> "Tree":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.forget()

    def resolve_directory(self, path: EntryPath) -> Directory:
        """Return the directory that ``path`` leads to, made where it is missing.

        Its descriptor is the tree's and good for the next 100 calls. Raises
        UnsafeEntryError for more than 40 symlinks, LayerError for a file on the way.
        """
        if path == self._last_path:  # is the youngest, and so the last to be closed
            return self._last
        found = self._resolve(path, make=True)
        if found is None:
            raise AssertionError(f"neither found nor made: {path!r}")
        return found

    def find_directory(self, path: EntryPath) -> Directory | None:
        """Return the directory that ``path`` leads to, None if there is none."""
        return self._resolve(path, make=False)

    def adopt(self, directory: Directory) -> None:
        """Take over the descriptor of a directory that was made just now."""
        if directory.path in self._open:
            os.close(directory.fd)
            return
        self._make_room()
        self._open[directory.path] = directory
        self._last_path, self._last = directory.path, directory

    def forget(self) -> None:
        """Close all descriptors; needed when a directory or symlink was removed."""
        self._last_path, self._last = ROOT, self._root
        while self._open:
            os.close(self._open.popitem()[1].fd)

    def _resolve(self, path: EntryPath, *, make: bool) -> Directory | None:
        if path == ROOT:
            return self._root
        known = self._open.pop(path, None)
        if known is None:
            known = self._enter(path, make=make)
            if known is None:
                return None
            self._make_room()
        self._open[path] = known
        self._last_path, self._last = path, known
        return known

    def _make_room(self) -> None:
        if len(self._open) >= _CACHE_LIMIT:
            os.close(self._open.pop(next(iter(self._open))).fd)

    def _enter(self, path: EntryPath, *, make: bool) -> Directory | None:
        start = parent(path)
        while start not in self._open and start != ROOT:
            start = parent(start)
        steps = _Steps(self._open.get(start, self._root), root=self._root, path=path)
        steps.add(path[len(start) :])
        try:
            while (name := steps.next_name()) is not None:
                if not self._step(steps, name, make=make):
                    return None
            return steps.taken()
        finally:
            steps.close()

    def _step(self, steps: "_Steps", name: str, *, make: bool) -> bool:
        """Go on to ``name``, or to where it points; False if it is missing and stays so."""
        try:
            steps.enter(name)
            return True
        except FileNotFoundError:
            redirect = self._redirects.get(join(steps.here.path, name))
            target = None if redirect is None else f"/{redirect}"
        except NotADirectoryError:
            target = _link_target(steps.here, name)
        if target is not None:
            steps.follow(target)
        elif make:
            self._make(steps.here, name)
            steps.enter(name)
        else:
            return False
        return True


class _Steps:
    """A walk under way: where it is, and the names that are still to go."""

    def __init__(self, start: Directory, *, root: Directory, path: EntryPath) -> None:
        self.here = start
        self._root = root
        self._path = path  # for the message
        self._is_own = False
        self._names: list[str] = []
        self._links = 0

    def add(self, names: str) -> None:
        self._names.extend(reversed(names.split("/")))

    def next_name(self) -> str | None:
        while self._names:
            name = self._names.pop()
            # Where ".." leaves the root it stays there, as in a process (path_resolution(7)).
            if name not in ("", ".") and not (name == ".." and self.here.path == ROOT):
                return name
        return None

    def enter(self, name: str) -> None:
        fd = os.open(name, _DIRECTORY, dir_fd=self.here.fd)
        path = parent(self.here.path) if name == ".." else join(self.here.path, name)
        self._move(Directory(fd, path), is_own=True)

    def follow(self, target: str) -> None:
        self._links += 1
        if self._links > _SYMLINK_LIMIT:
            raise UnsafeEntryError(f"resolve in image: {self._path!r}: too many symlinks")
        if target.startswith("/"):
            self._move(self._root, is_own=False)
        self.add(target)

    def taken(self) -> Directory:
        """Return where the walk is, with a descriptor for the caller to close."""
        fd = self.here.fd if self._is_own else os.dup(self.here.fd)
        self._is_own = False
        return Directory(fd, self.here.path)

    def close(self) -> None:
        if self._is_own:
            os.close(self.here.fd)
            self._is_own = False

    def _move(self, to: Directory, *, is_own: bool) -> None:
        self.close()
        self.here, self._is_own = to, is_own


def _link_target(directory: Directory, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=directory.fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # readlink(2): not a symlink
            raise
        return None
