"""The process whose call waits: what its arguments name, opened as it sees them.

Its memory and its links in /proc may change at any moment, and what is opened is acted on through
the descriptor alone: a race garbles what is remembered, and reaches nothing that the caller cannot.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from rootrun.sandbox import bpf
from rootrun.sandbox.beneath import open_in_root
from rootrun.sandbox.notify import Channel, SystemCall
from rootrun.sandbox.process_memory import read_memory, read_path, write_memory

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000

_OPEN_PATH = os.O_PATH | os.O_CLOEXEC
_OWN_LINKS = (b"/proc/", b"/dev/")
_STANDARD = {b"/dev/stdin": "fd/0", b"/dev/stdout": "fd/1", b"/dev/stderr": "fd/2"}
_OWN_LINK = re.compile(
    rb"(?:/proc/(?:thread-)?self/(?=fd/|cwd|root)|/dev/(?=fd/))(fd/\d{1,9}|cwd|root)(?:(/+)(.*))?",
    re.DOTALL,
)


def signed(argument: int) -> int:
    """Return the C int that a system call's argument holds."""
    return ((argument & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def no_such(code: int) -> OSError:
    """Return the error of errno ``code``."""
    return OSError(code, os.strerror(code))


def userns_of(pid: int) -> int:
    """Return the inode number of a process's user namespace."""
    return os.stat(f"/proc/{pid}/ns/user").st_ino


class Caller:
    """The thread behind a call. All that is opened here is for the user of it to close.

    ``userns`` is the inode number of the container's user namespace, ``root`` a descriptor of the
    root directory that all callers have; None if some may have another. The methods raise the
    ``OSError`` that the call itself would end with.
    """

    __slots__ = ("_call", "_channel", "_root", "_userns", "arch", "arguments", "pid")

    def __init__(
        self, call: SystemCall, channel: Channel, *, userns: int, root: int | None
    ) -> None:
        self._call = call
        self._channel = channel
        self._userns = userns
        self._root = root
        self.pid = call.pid
        self.arch = call.arch
        self.arguments = call.arguments

    @property
    def has_short_ids(self) -> bool:
        """Whether the calls of ``calls.SHORT_IDS`` are those with ids of 16 bits here."""
        return self.arch == bpf.AUDIT_ARCH_I386

    def check_alive(self) -> None:
        """Raise ESRCH if it was killed: what was read of its pid may be another's."""
        if not self._channel.is_alive(self._call):
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))

    def descriptor(self, number: int) -> int:
        """Return an O_PATH descriptor of what the caller has open as ``number``."""
        return self._checked(self._descriptor(number))

    def link(self, number: int) -> bytes:
        """Return where what the caller has open as ``number`` is, or what it is."""
        try:
            return os.readlink(f"/proc/{self.pid}/fd/{number}".encode())
        except FileNotFoundError as error:
            raise no_such(errno.EBADF) from error

    def writable(self, number: int) -> int:
        """As ``descriptor``, but one that is O_PATH is EBADF, as for fchown(2)."""
        fd = self.descriptor(number)
        with open(f"/proc/{self.pid}/fdinfo/{number}", "rb") as fdinfo:
            flags = re.search(rb"^flags:\t([0-7]+)$", fdinfo.read(), re.MULTILINE)
        if flags is None or int(flags[1], 8) & os.O_PATH:
            os.close(fd)
            raise no_such(errno.EBADF)
        return fd

    def path_at(self, address: int) -> bytes:
        """Return the path at ``address``."""
        return read_path(self.pid, address)

    def read(self, address: int, size_bytes: int) -> bytes:
        """Return that much of its memory."""
        return read_memory(self.pid, address, size_bytes)

    def write(self, address: int, content: bytes) -> None:
        """Write to its memory."""
        write_memory(self.pid, address, content)

    def add_descriptor(self, fd: int, *, is_close_on_exec: bool) -> int:
        """Give it a duplicate of ``fd`` and return the number that it has there."""
        return self._channel.add_descriptor(self._call, fd, is_close_on_exec=is_close_on_exec)

    def named(self, directory: int, path: bytes, *, follow: bool, may_be_empty: bool) -> int:
        """Return an O_PATH descriptor of what ``path``, relative to ``directory``, is to it.

        ``directory`` is a descriptor of the caller's or AT_FDCWD.
        """
        return self._checked(self._named(directory, path, follow=follow, may_be_empty=may_be_empty))

    def seen(self, directory: int, path: bytes) -> bytes:
        """Return where what ``path`` leads to is in the container, links followed.

        It is read without care for whether the caller is still the caller.
        """
        if self._root is not None and path.startswith(b"/") and not path.startswith(_OWN_LINKS):
            fd = open_in_root(self._root, path, follow=True)
        else:
            fd = self._named(directory, path, follow=True, may_be_empty=False)
        try:
            return os.readlink(f"/proc/self/fd/{fd}".encode())
        finally:
            os.close(fd)

    def directory(self, number: int) -> int:
        """Return an O_PATH descriptor of where a relative path starts."""
        return self._checked(self._directory(number))

    def place(self, directory: int, path: bytes) -> tuple[int, bytes]:
        """Return a descriptor of the directory that ``path`` is to be in, and its name there.

        As for a new file; slashes at the end are the caller's to judge. EEXIST for ``.``, ``..``
        and the root, ENOENT for an empty path.
        """
        head, slash, leaf = path.rstrip(b"/").rpartition(b"/")
        if leaf in (b"", b".", b".."):
            raise no_such(errno.EEXIST if path else errno.ENOENT)
        if not slash:
            return self.directory(directory), leaf
        return self.named(directory, head or b"/", follow=True, may_be_empty=False), leaf

    def umask(self) -> int:
        """Return its umask."""
        return int(self._status(rb"Umask:\t([0-7]+)"), 8)

    @contextmanager
    def applied_umask(self) -> Iterator[None]:
        """Have this process make files with the caller's umask, as the kernel would apply it."""
        before = os.umask(self.umask())
        try:
            yield
        finally:
            os.umask(before)

    def is_root(self) -> bool:
        """Say whether it acts as root of the container, by the kernel's own word."""
        return int(self._status(rb"Uid:\t\d+\t(\d+)\t")) == 0

    def is_in_container_userns(self) -> bool:
        """Say whether its user namespace is the container's, and none that was made in there."""
        inode = userns_of(self.pid)
        self.check_alive()
        return inode == self._userns

    def _status(self, line: bytes) -> bytes:
        with open(f"/proc/{self.pid}/status", "rb") as status:
            found = re.search(b"^" + line, status.read(), re.MULTILINE)
        self.check_alive()
        if found is None:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return found[1]

    def _checked(self, fd: int) -> int:
        if self._channel.is_alive(self._call):
            return fd
        os.close(fd)  # of another process by now, which got the pid
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))

    def _named(self, directory: int, path: bytes, *, follow: bool, may_be_empty: bool) -> int:
        if not path:
            if not may_be_empty:
                raise no_such(errno.ENOENT)
            return self._directory(directory)
        if path.startswith(b"/"):
            link, rest = _own_link(path)
            if not link:
                return self._in_root(path, follow=follow)
            if rest:  # openat2(2) follows no magic link below a root
                return self._below(self._open(link), rest, follow=follow)
            return self._open(link, 0 if follow else os.O_NOFOLLOW)
        return self._below(self._directory(directory), path, follow=follow)

    def _directory(self, number: int) -> int:
        return self._open("cwd") if number == AT_FDCWD else self._descriptor(number)

    def _descriptor(self, number: int) -> int:
        try:
            return self._open(f"fd/{number}")
        except FileNotFoundError as error:
            raise no_such(errno.EBADF) from error

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
        return os.open(f"/proc/{self.pid}/{entry}", _OPEN_PATH | flags)


def _own_link(path: bytes) -> tuple[str, bytes]:
    """Return the caller's link in /proc/PID that ``path`` starts with, and the path below it."""
    if path in _STANDARD:
        return _STANDARD[path], b""
    found = _OWN_LINK.fullmatch(path)
    if found is None:
        return "", b""
    link, slash, below = found.groups()
    return link.decode(), below or (b"." if slash else b"")
