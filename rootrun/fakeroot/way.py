"""The way that a path leads a process that is not root, with the right to go it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from rootrun.fakeroot.caller import Caller
from rootrun.fakeroot.credentials import Credentials
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.permission import SEARCH, Known, check_access
from rootrun.fakeroot.upper import Status, status_of
from rootrun.namedtuple import NamedTuple

_MOST_LINKS = 40  # path_resolution(7)
_OPEN_NEXT = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Reached(NamedTuple):
    """Where a path leads. ``parent`` is None for what was named without one."""

    parent: Known | None
    known: Known | None  # None: nothing is there
    fd: int  # O_PATH; of the directory, if nothing is there


class Ways:
    """The ways in the container's root. Other file systems belong to no one that is known."""

    def __init__(self, files: Files) -> None:
        self._files = files

    @contextmanager
    def reach(
        self,
        caller: Caller,
        credentials: Credentials,
        *,
        directory: int,
        path: bytes,
        follow: bool = True,
    ) -> Iterator[Reached | None]:
        """Yield where ``path``, relative to ``directory``, leads.

        None where the kernel finds an error, or something that is not in our root. Raises EACCES
        for a directory on the way that may not be searched.
        """
        way = _Way(self._files, caller, credentials)
        try:
            yield way.go(directory, path, follow=follow)
        finally:
            way.close()

    @contextmanager
    def open_file(self, caller: Caller, number: int) -> Iterator[Reached | None]:
        """Yield what the caller has open as ``number``, its working directory for AT_FDCWD."""
        fd = caller.directory(number)
        try:
            status = status_of(fd)
            ours = self._files.tree.has(status)
            yield Reached(None, self._files.permissions(fd, status), fd) if ours else None
        finally:
            os.close(fd)


class _Way:
    """One walk. It holds descriptors of where it is and of the caller's root."""

    def __init__(self, files: Files, caller: Caller, credentials: Credentials) -> None:
        self._files = files
        self._caller = caller
        self._credentials = credentials
        self._here = self._root = -1

    def close(self) -> None:
        for fd in {self._here, self._root} - {-1}:
            os.close(fd)

    def go(self, directory: int, path: bytes, *, follow: bool) -> Reached | None:
        if not path:
            return None
        try:
            self._root = os.open(f"/proc/{self._caller.pid}/root", os.O_PATH | os.O_CLOEXEC)
            is_absolute = path.startswith(b"/")
            self._here = os.dup(self._root) if is_absolute else self._caller.directory(directory)
            self._caller.check_alive()
            follows = follow or path.endswith(b"/")
            reached = self._walk(path, follow=follows)
            return reached or self._jump(directory, path, follow=follows)
        except PermissionError:
            raise
        except OSError:  # the kernel finds the same
            return None

    def _jump(self, directory: int, path: bytes, *, follow: bool) -> Reached | None:
        """Return what of our root a way by another file system leads to, as links in /proc do."""
        self._move(self._caller.named(directory, path, follow=follow, may_be_empty=False))
        return self._arrived(None)

    def _walk(self, path: bytes, *, follow: bool) -> Reached | None:
        waiting, links = _names(path), 0
        parent = None
        while waiting:
            name = waiting.pop()
            parent = self._searched()
            if parent is None:
                return None
            below = self._below(name)
            if below is None:
                return None if waiting else Reached(parent, None, self._here)
            fd, status = below
            if stat.S_ISLNK(status.mode) and (waiting or follow):
                target = _target(fd)
                links += 1
                if links > _MOST_LINKS:
                    return None
                waiting += _names(target)
                if target.startswith(b"/"):
                    self._move(os.dup(self._root))
            else:
                self._move(fd)
        if path.endswith((b"/", b"/.")) and not stat.S_ISDIR(status_of(self._here).mode):
            return None
        return self._arrived(parent)

    def _arrived(self, parent: Known | None) -> Reached | None:
        status = status_of(self._here)
        if not self._files.tree.has(status):
            return None
        return Reached(parent, self._files.permissions(self._here, status), self._here)

    def _searched(self) -> Known | None:
        """Return the directory that the way is in, None if it is none of ours."""
        status = status_of(self._here)
        if not self._files.tree.has(status) or not stat.S_ISDIR(status.mode):
            return None
        known = self._files.permissions(self._here, status)
        check_access(self._credentials, known, SEARCH)
        return known

    def _below(self, name: bytes) -> tuple[int, Status] | None:
        """Return the next of the way, None if it is not there."""
        if name == b".." and status_of(self._here).key == status_of(self._root).key:
            name = b"."
        try:
            fd = os.open(name, _OPEN_NEXT, dir_fd=self._here)
        except FileNotFoundError:
            return None
        return fd, status_of(fd)

    def _move(self, fd: int) -> None:
        os.close(self._here)
        self._here = fd


def _names(path: bytes) -> list[bytes]:
    """Return the components that say where to go, the last one first."""
    return [name for name in reversed(path.split(b"/")) if name not in (b"", b".")]


def _target(link: int) -> bytes:
    try:
        return os.readlink(b"", dir_fd=link)
    finally:
        os.close(link)
