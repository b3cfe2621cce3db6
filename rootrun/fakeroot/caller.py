"""The process whose call waits: what its arguments name, opened as it sees them.

Its memory and its links in /proc may change at any moment, and what is opened is acted on through
the descriptor alone: a race garbles what is remembered, and reaches nothing that the caller cannot.
"""

import errno
import os
import re
import stat

from rootrun.sandbox.beneath import open_in_root
from rootrun.sandbox.notify import Listener, Notification
from rootrun.sandbox.process_memory import read_path

AT_FDCWD = -100

_OPEN_PATH = os.O_PATH | os.O_CLOEXEC
_STANDARD = {b"/dev/stdin": "fd/0", b"/dev/stdout": "fd/1", b"/dev/stderr": "fd/2"}
_OWN_LINK = re.compile(
    rb"(?:/proc/(?:thread-)?self/(?=fd/|cwd|root)|/dev/(?=fd/))(fd/\d{1,9}|cwd|root)(?:(/+)(.*))?",
    re.DOTALL,
)


def signed(argument: int) -> int:
    """Return the C int that a system call's argument holds."""
    return ((argument & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


class Caller:
    """The thread behind a notification. All that is opened here is for the user of it to close.

    The methods raise the ``OSError`` that the call itself would end with.
    """

    def __init__(self, listener: Listener, notification: Notification) -> None:
        self._listener = listener
        self._notification = notification
        self.pid = notification.pid

    def descriptor(self, number: int) -> int:
        """Return an O_PATH descriptor of what the caller has open as ``number``."""
        try:
            return self._open(f"fd/{number}")
        except FileNotFoundError as error:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from error

    def writable(self, number: int) -> int:
        """As ``descriptor``, but one that is O_PATH is EBADF, as for fchown(2)."""
        fd = self.descriptor(number)
        with open(f"/proc/{self.pid}/fdinfo/{number}", "rb") as fdinfo:
            flags = re.search(rb"^flags:\t([0-7]+)$", fdinfo.read(), re.MULTILINE)
        if flags is None or int(flags[1], 8) & os.O_PATH:
            os.close(fd)
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return fd

    def path_at(self, address: int) -> bytes:
        """Return the path at ``address``."""
        return read_path(self.pid, address)

    def named(self, directory: int, path: bytes, *, follow: bool, may_be_empty: bool) -> int:
        """Return an O_PATH descriptor of what ``path``, relative to ``directory``, is to it.

        ``directory`` is a descriptor of the caller's or AT_FDCWD.
        """
        if not path:
            if not may_be_empty:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            return self.directory(directory)
        link, rest = _own_link(path)
        if link and rest:  # openat2(2) follows no magic link below a root
            return self._below(self._open(link), rest, follow=follow)
        if link:
            return self._open(link, 0 if follow else os.O_NOFOLLOW)
        if path.startswith(b"/"):
            return self._in_root(path, follow=follow)
        return self._below(self.directory(directory), path, follow=follow)

    def directory(self, number: int) -> int:
        """Return an O_PATH descriptor of where a relative path starts."""
        return self._open("cwd") if number == AT_FDCWD else self.descriptor(number)

    def umask(self) -> int:
        """Return its umask."""
        return int(self._status(rb"Umask:\t([0-7]+)"), 8)

    def is_root(self) -> bool:
        """Say whether it acts as root of the container."""
        return int(self._status(rb"Uid:\t\d+\t(\d+)\t")) == 0

    def _status(self, line: bytes) -> bytes:
        with open(f"/proc/{self.pid}/status", "rb") as status:
            found = re.search(b"^" + line, status.read(), re.MULTILINE)
        if found is None or not self._listener.is_alive(self._notification):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return found[1]

    def _below(self, start: int, path: bytes, *, follow: bool) -> int:
        try:
            return self._relative(start, path, follow=follow)
        finally:
            os.close(start)

    def _relative(self, start: int, path: bytes, *, follow: bool) -> int:
        if b"/" not in path and path != b"..":
            fd = os.open(path, _OPEN_PATH | os.O_NOFOLLOW, dir_fd=start)
            if not (follow and stat.S_ISLNK(os.fstat(fd).st_mode)):
                return fd
            os.close(fd)
        # Its links may be absolute: only from its root are they what they are to it.
        here = os.readlink(f"/proc/self/fd/{start}".encode())
        root = os.readlink(f"/proc/{self.pid}/root".encode()).rstrip(b"/")
        if root and (here == root or here.startswith(root + b"/")):
            here = here[len(root) :]
        return self._in_root(here + b"/" + path, follow=follow)

    def _in_root(self, path: bytes, *, follow: bool) -> int:
        root = self._open("root")
        try:
            return open_in_root(root, path, follow=follow)
        finally:
            os.close(root)

    def _open(self, entry: str, flags: int = 0) -> int:
        fd = os.open(f"/proc/{self.pid}/{entry}", _OPEN_PATH | flags)
        if self._listener.is_alive(self._notification):
            return fd
        os.close(fd)  # of another process by now, which got the pid
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))


def _own_link(path: bytes) -> tuple[str, bytes]:
    """Return the caller's link in /proc/PID that ``path`` starts with, and the path below it."""
    if path in _STANDARD:
        return _STANDARD[path], b""
    found = _OWN_LINK.fullmatch(path)
    if found is None:
        return "", b""
    link, slash, below = found.groups()
    return link.decode(), below or (b"." if slash else b"")
