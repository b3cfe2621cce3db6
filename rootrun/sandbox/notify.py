"""The supervisor's side of a seccomp filter: calls come in, answers go out (seccomp_unotify(2))."""

import errno
import fcntl
import os
import select
import struct
from contextlib import suppress

from rootrun.annotation import Protocol
from rootrun.namedtuple import NamedTuple

_RECV = 0xC0502100
_SEND = 0xC0182101
# The number of before Linux 5.9, with a wrong direction in it: every kernel takes it.
_ID_VALID = 0x80082102
_ADD_DESCRIPTOR = 0x40182103  # Linux 5.9
_SET_FLAGS = 0x40082104  # Linux 6.6
_SYNC_WAKE_UP = 1

_NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags, number, arch, ip, arguments
_RESPONSE = struct.Struct("=QqiI")  # id, value, error, flags
_ID = struct.Struct("=Q")
_ADDITION = struct.Struct("=QIIII")  # id, flags, descriptor, number wanted, its flags
_FLAG_CONTINUE = 1


class SystemCall(Protocol):
    """What a process asked of the kernel; it waits for the answer."""

    @property
    def id(self) -> int:
        """The kernel's number of this waiting, 0 for a trap."""

    @property
    def pid(self) -> int:
        """The calling thread, as this process sees it."""

    @property
    def arch(self) -> int:
        """AUDIT_ARCH_*."""

    @property
    def number(self) -> int:
        """Of the call, on that architecture."""

    @property
    def arguments(self) -> tuple[int, ...]:
        """All six, unsigned, 64 bits each."""


class Trap(NamedTuple):
    """A ``SystemCall`` of a tracee that stands still (SECCOMP_RET_TRAP); see ``tracing``."""

    pid: int
    arch: int
    number: int
    arguments: tuple[int, ...]
    id: int = 0


class Notification(NamedTuple):
    """A ``SystemCall`` that came through a listener (SECCOMP_RET_USER_NOTIF)."""

    id: int
    pid: int  # of the calling thread, as this process sees it
    arch: int  # AUDIT_ARCH_*
    number: int  # of the call, on that architecture
    arguments: tuple[int, ...]  # all six, unsigned, 64 bits each


class Channel(Protocol):
    """The way to the caller of a call."""

    def is_alive(self, call: SystemCall, /) -> bool:
        """Say whether the caller still waits: its pid may be another's if not."""

    def add_descriptor(self, call: SystemCall, fd: int, /, *, is_close_on_exec: bool) -> int:
        """Give the caller a duplicate of ``fd``; return its number there."""


class Listener:
    """A listener's descriptor, which it owns. Each notification is to be answered once."""

    __slots__ = ("_poller", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._poller = select.poll()
        self._poller.register(fd, select.POLLIN)
        # Caller and supervisor then take turns on one processor: 7 us a call instead of 75, most of
        # which was waking the other one up.
        with suppress(OSError):
            fcntl.ioctl(fd, _SET_FLAGS, _SYNC_WAKE_UP)

    def receive(self) -> Notification | None:
        """Return the next call, None if its caller was killed meanwhile.

        Blocks if poll(2) or ``waits`` have not said before that there is one.
        """
        buffer = bytearray(_NOTIFICATION.size)  # EINVAL if it is not zeroed
        try:
            fcntl.ioctl(self.fd, _RECV, buffer)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return None
        fields = _NOTIFICATION.unpack(buffer)
        return Notification(fields[0], fields[1], fields[4], fields[3], fields[6:])

    def waits(self, timeout_ms: int) -> bool:
        """Say whether there is a call to answer, or comes one in that time."""
        found = self._poller.poll(timeout_ms)
        return bool(found and found[0][1] & select.POLLIN)

    def answer(self, notification: Notification, *, value: int = 0, error: int = 0) -> None:
        """Have the call return ``value``, or fail with the errno ``error``."""
        self._send(_RESPONSE.pack(notification.id, value, -error, 0))

    def let_through(self, notification: Notification) -> None:
        """Have the kernel make the call after all, with arguments that may be others by now."""
        self._send(_RESPONSE.pack(notification.id, 0, 0, _FLAG_CONTINUE))

    def add_descriptor(self, call: SystemCall, fd: int, *, is_close_on_exec: bool) -> int:
        """Give the caller a duplicate of ``fd``; return its number there, raise EMFILE for none."""
        flags = os.O_CLOEXEC if is_close_on_exec else 0
        # Only with a mutable buffer does Python return what ioctl(2) did.
        addition = bytearray(_ADDITION.pack(call.id, 0, fd, 0, flags))
        return int(fcntl.ioctl(self.fd, _ADD_DESCRIPTOR, addition))

    def is_alive(self, call: SystemCall) -> bool:
        """Say whether the caller still waits: then what was opened of its pid was its own."""
        try:
            fcntl.ioctl(self.fd, _ID_VALID, _ID.pack(call.id))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
        return True

    def close(self) -> None:
        """Close it: calls that wait, and later ones, fail with ENOSYS."""
        os.close(self.fd)

    def _send(self, response: bytes) -> None:
        try:
            fcntl.ioctl(self.fd, _SEND, response)
        except OSError as error:
            if error.errno != errno.ENOENT:  # the caller was killed
                raise
