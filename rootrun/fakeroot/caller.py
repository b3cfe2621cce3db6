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
_STANDARD = {b"/dev/stdin": 0, b"/dev/stdout": 1, b"/dev/stderr": 2}
_OWN_DESCRIPTOR = re.compile(rb"(?:/proc/(?:self|thread-self)|/dev)/fd/(\d{1,9})")


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
        own = _own_descriptor(path)
        if own is not None and follow:  # openat2(2) follows no magic link below a root
            return self.descriptor(own)
        if path.startswith(b"/"):
            return self._in_root(path, follow=follow)
        start = self.directory(directory)
        try:
            return self._relative(start, path, follow=follow)
        finally:
            os.close(start)

    def directory(self, number: int) -> int:
        """Return an O_PATH descriptor of where a relative path starts."""
        return self._open("cwd") if number == AT_FDCWD else self.descriptor(number)

    def umask(self) -> int:
        """Return its umask (proc_pid_status(5))."""
        with open(f"/proc/{self.pid}/status", "rb") as status:
            found = re.search(rb"^Umask:\t([0-7]+)$", status.read(), re.MULTILINE)
        return int(found[1], 8) if found else 0o022

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

    def _open(self, entry: str) -> int:
        fd = os.open(f"/proc/{self.pid}/{entry}", _OPEN_PATH)
        if self._listener.is_alive(self._notification):
            return fd
        os.close(fd)  # of another process by now, which got the pid
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))


def _own_descriptor(path: bytes) -> int | None:
    if path in _STANDARD:
        return _STANDARD[path]
    found = _OWN_DESCRIPTOR.fullmatch(path)
    return int(found[1]) if found else None
