"""Handing a step's listener to the main process, which answers there in the kernel's place.

``_socket`` is imported by ``open_handover`` first, before the root switch: most containers do
without, and socket.py on top of it costs more to import than a container to start.
"""

import array
import errno
import os
import select
import signal
from contextlib import suppress

from rootrun.errors import RootrunError, SandboxError
from rootrun.sandbox import syscalls
from rootrun.sandbox.forking import FORWARDED_SIGNALS
from rootrun.sandbox.notify import Listener
from rootrun.sandbox.spec import Emulator

_SPEC_ALLOW = 4  # spare programs the slower branches that a barrier would want
_NEW_LISTENER = 8
_WAIT_KILLABLE_RECV = 32  # Linux 5.19; without, a signal restarts a call that was answered
_PLAIN = (_SPEC_ALLOW, 0)
_LISTENING = (_SPEC_ALLOW | _NEW_LISTENER | _WAIT_KILLABLE_RECV, _SPEC_ALLOW | _NEW_LISTENER)
# EBUSY: a filter above us has a listener (nested). ENOSYS, EINVAL: this kernel has none. EPERM: a
# filter above us forbids seccomp(2).
_REFUSED = {errno.EBUSY, errno.ENOSYS, errno.EINVAL, errno.EPERM}
_ACKNOWLEDGED = b"a"
_DESCRIPTOR_BYTES = array.array("i").itemsize


def open_handover() -> tuple[int, int]:
    """Return both ends of what listeners are handed over by: one to receive, one to send."""
    import _socket

    receiver, sender = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    return receiver.detach(), sender.detach()


def emulate(emulator: Emulator, handover: int) -> str | None:
    """Put this process, root of its namespace, under the filter of ``emulator``.

    Returns once the main process has the listener, if there is one; ends if that process is gone.
    Returns a warning if the fallback had to do, or nothing at all is possible.
    """
    if emulator.wants_listener:
        try:
            listener = _install(emulator.program, _LISTENING)
        except OSError as error:
            return _fall_back(emulator.fallback_program, error)
        _hand_over(listener, handover)
        return None
    try:
        _install(emulator.program, _PLAIN)
    except OSError as error:
        return _fall_back(emulator.program, error)
    return None


def _fall_back(program: bytes, refusal: OSError) -> str:
    """Do what can be done without a listener, and return the warning; raise what is no refusal."""
    if refusal.errno not in _REFUSED:
        raise refusal
    try:
        _install(program, _PLAIN)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return f"emulate root: {error.strerror}: chown and mknod will fail"
    why = "the kernel cannot ask about system calls"
    if refusal.errno == errno.EBUSY:
        why = "something else answers system calls here already"
    return f"emulate root: {why}: owners and devices will not be remembered"


def _install(program: bytes, attempts: tuple[int, ...]) -> int:
    *first, last = attempts
    for flags in first:
        try:
            return syscalls.install_filter(program, flags)
        except OSError as error:
            if error.errno != errno.EINVAL:  # it knows not all of the flags
                raise
    return syscalls.install_filter(program, last)


def _hand_over(listener: int, handover: int) -> None:
    import _socket  # loaded since ``open_handover``

    # From here on nothing may be called that the filter asks about: nobody is there to answer.
    sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, handover)
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [listener]))
    sender.sendmsg([_ACKNOWLEDGED], [rights])
    os.close(listener)
    if not sender.recv(1):
        os._exit(1)
    sender.detach()


class Supervision:
    """The main process's side: the listeners of a container's steps, one after another.

    Owns the receiving end of ``open_handover``.
    """

    __slots__ = ("_emulator", "_listeners", "_receiver")

    def __init__(self, emulator: Emulator, receiver: int) -> None:
        import _socket

        self._emulator = emulator
        self._receiver = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, receiver)
        self._listeners: dict[int, Listener] = {}

    def watch(self, poller: "select.poll") -> None:
        """Have ``poller`` tell what ``attend`` is to be called with."""
        for fd in (self._receiver.fileno(), *self._listeners):
            poller.register(fd, select.POLLIN)

    def attend(self, fd: int, events: int, poller: "select.poll") -> None:
        """Take a listener, answer what it tells, or close it with its last process.

        Raises ``SandboxError`` if the emulator fails; all calls then fail with ENOSYS.
        """
        if fd == self._receiver.fileno():
            self._take_listener(poller)
        elif events & select.POLLIN:
            self._serve(self._listeners[fd])
        else:
            poller.unregister(fd)
            self._listeners.pop(fd).close()

    def close(self) -> None:
        """Close everything; no call is left waiting."""
        self._close_listeners()
        self._receiver.close()

    def _take_listener(self, poller: "select.poll") -> None:
        import _socket

        size = _socket.CMSG_SPACE(_DESCRIPTOR_BYTES)
        content, rights, _, _ = self._receiver.recvmsg(1, size, _socket.MSG_CMSG_CLOEXEC)
        if not content:
            poller.unregister(self._receiver.fileno())  # the container has ended
            return
        (fd,) = array.array("i", rights[0][2])
        self._listeners[fd] = Listener(fd)
        poller.register(fd, select.POLLIN)
        with suppress(BrokenPipeError):  # it was killed while it waited
            self._receiver.send(_ACKNOWLEDGED)

    def _serve(self, listener: Listener) -> None:
        # A signal that interrupted the answer would leave its caller waiting while the script
        # cleans up.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED_SIGNALS)
        try:
            self._emulator.serve(listener)
        except RootrunError:
            self._close_listeners()
            raise
        except Exception as error:
            self._close_listeners()
            raise SandboxError(f"emulate root: {type(error).__name__}: {error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _close_listeners(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
