"""Handing a step's listener to the main process, which answers there in the kernel's place.

Where the filter traps as well, the main process first becomes the step's tracer.

``_socket`` is imported by ``open_packets`` first, before the root switch: most containers do
without, and socket.py on top of it costs more to import than a container to start.
"""

import array
import errno
import os
import select
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import RootrunError, SandboxError
from rootrun.sandbox import syscalls
from rootrun.sandbox.forking import FORWARDED_SIGNALS
from rootrun.sandbox.notify import Listener
from rootrun.sandbox.spec import Emulator

if TYPE_CHECKING:
    from rootrun.sandbox.tracing import Tracer

_NEW_LISTENER = 8
_WAIT_KILLABLE_RECV = 32  # Linux 5.19; without, a signal restarts a call that was answered
_PLAIN = (syscalls.FILTER_SPEC_ALLOW, 0)
_LISTENING = tuple(
    flags | _NEW_LISTENER | syscalls.FILTER_SPEC_ALLOW for flags in (_WAIT_KILLABLE_RECV, 0)
)
# EBUSY: a filter above us has a listener (nested). ENOSYS, EINVAL: this kernel has none. EPERM: a
# filter above us forbids seccomp(2).
_REFUSED = {errno.EBUSY, errno.ENOSYS, errno.EINVAL, errno.EPERM}
_LISTENER = b"l"  # of the step: here it is, or
_TRACE = b"t"  # trace me; the answer is an errno
_ACKNOWLEDGED = b"\0"
_LONGEST_RUN_S = 0.01  # signals, timeouts and everything else wait meanwhile
_RUN_BREAK_MS = 1
_DESCRIPTOR_BYTES = array.array("i").itemsize
_CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid


def emulate(emulator: Emulator, handover: int) -> str | None:
    """Put this process, root of its namespace, under the filter of ``emulator``.

    Returns once the main process has the listener, if there is one; ends if that process is gone.
    Returns a warning if the fallback had to do, or nothing at all is possible.
    """
    program, warning = emulator.program, None
    if emulator.traps and (refusal := _ask_for_tracer(handover)):
        program = emulator.untrapped_program
        warning = (
            f"emulate root: ptrace: {os.strerror(refusal)}: "
            "a filter above rootrun (a Nix sandbox?) forbids set-id modes and attributes"
        )
    if emulator.wants_listener:
        try:
            listener = syscalls.install_filter(program, *_LISTENING)
        except OSError as error:
            return _fall_back(emulator.fallback_program, error)
        _hand_over(listener, handover)
        return warning
    try:
        syscalls.install_filter(program, *_PLAIN)
    except OSError as error:
        return _fall_back(program, error)
    return warning


def _fall_back(program: bytes, refusal: OSError) -> str:
    """Do what can be done without a listener, and return the warning; raise what is no refusal.

    An empty ``program`` leaves every call to the kernel.
    """
    if refusal.errno not in _REFUSED:
        raise refusal
    try:
        if program:
            syscalls.install_filter(program, *_PLAIN)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return f"emulate root: {error.strerror}: chown and mknod will fail"
    why = "the kernel cannot ask about system calls"
    if refusal.errno == errno.EBUSY:
        why = "something else answers system calls here already"
    return f"emulate root: {why}: owners and devices will not be remembered"


def _hand_over(listener: int, handover: int) -> None:
    # From here on nothing may be called that the filter asks about: nobody is there to answer.
    _ask(handover, _LISTENER, array.array("i", [listener]))
    os.close(listener)


def _ask_for_tracer(handover: int) -> int:
    """Have the main process trace this one; return 0, or the errno of its failure."""
    # It has no rights over the namespace in which it was executed, as we were: ptrace(2) wants them
    # for what is not dumpable. No process of the container runs yet that could use the moment.
    syscalls.allow_inspection()
    try:
        return _ask(handover, _TRACE, array.array("i"))[0]
    finally:
        syscalls.forbid_inspection()


def _ask(handover: int, question: bytes, descriptors: "array.array[int]") -> bytes:
    import _socket  # loaded since ``open_packets``

    sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, handover)
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)] if descriptors else []
    sender.sendmsg([question], rights)
    answer = sender.recv(1)
    if not answer:
        os._exit(1)
    sender.detach()
    return answer


class Supervision:
    """The main process's side: the listeners of a container's steps, and their tracer, if any.

    Owns the receiving end of ``open_packets``.
    """

    __slots__ = ("_emulator", "_listeners", "_receiver", "_tracer")

    def __init__(self, emulator: Emulator, receiver: int) -> None:
        import _socket

        self._emulator = emulator
        self._receiver = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, receiver)
        self._listeners: dict[int, Listener] = {}
        self._tracer = _new_tracer(emulator) if emulator.traps else None
        if self._tracer is not None:
            # The kernel then says of each message which process sent it, by its pid here.
            self._receiver.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)

    @contextmanager
    def watching(self, poller: "select.poll") -> Iterator[None]:
        """Have ``poller`` tell in the block what ``attend`` is to be called with."""
        for fd in (self._receiver.fileno(), *self._listeners):
            poller.register(fd, select.POLLIN)
        with self._tracer.watching(poller) if self._tracer else nullcontext():
            yield

    def attend(self, fd: int, events: int, poller: "select.poll") -> None:
        """Take a listener, answer what it tells, or close it with its last process; or trace.

        Raises ``SandboxError`` if the emulator fails; all calls then fail with ENOSYS.
        """
        # A signal that interrupted it would leave a caller waiting while the script cleans up.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED_SIGNALS)
        try:
            self._attend(fd, events, poller)
        except RootrunError:
            self._close_listeners()
            raise
        except Exception as error:
            self._close_listeners()
            raise SandboxError(f"emulate root: {type(error).__name__}: {error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def reap_tracees(self) -> None:
        """Let a container that was killed come to its end: see ``Tracer.reap_all``."""
        if self._tracer is not None:
            self._tracer.reap_all()

    def close(self) -> None:
        """Close everything; no call is left waiting."""
        self._close_listeners()
        self._receiver.close()
        if self._tracer is not None:
            self._tracer.close()

    def _attend(self, fd: int, events: int, poller: "select.poll") -> None:
        if fd == self._receiver.fileno():
            self._take_message(poller)
        elif self._tracer is not None and fd == self._tracer.fileno():
            self._tracer.attend()
        elif events & select.POLLIN:
            self._serve(self._listeners[fd])
        else:
            poller.unregister(fd)
            self._listeners.pop(fd).close()

    def _serve(self, listener: Listener) -> None:
        """Answer calls as long as they come one after the other, but not for long.

        Most come in such runs; going through ``attend`` for each would cost as much as answering.
        """
        end_s = time.monotonic() + _LONGEST_RUN_S
        while True:
            self._emulator.serve(listener)
            if time.monotonic() > end_s or not listener.waits(_RUN_BREAK_MS):
                return

    def _take_message(self, poller: "select.poll") -> None:
        import _socket

        size = _socket.CMSG_SPACE(_DESCRIPTOR_BYTES) + _socket.CMSG_SPACE(_CREDENTIALS.size)
        content = b""
        ancillary: list[tuple[int, int, bytes]] = []
        # By a step that was killed, with all others, before it read the answer: the end as well.
        with suppress(ConnectionResetError):
            content, ancillary, _, _ = self._receiver.recvmsg(1, size, _socket.MSG_CMSG_CLOEXEC)
        if not content:
            poller.unregister(self._receiver.fileno())  # the container has ended
            return
        told = {kind: value for _, kind, value in ancillary}
        if content == _TRACE:
            pid, _, _ = _CREDENTIALS.unpack(told[_socket.SCM_CREDENTIALS])
            answer = bytes([self._seize(pid)])
        else:
            self._take_listener(array.array("i", told[_socket.SCM_RIGHTS])[0], poller)
            answer = _ACKNOWLEDGED
        with suppress(BrokenPipeError):  # it was killed while it waited
            self._receiver.send(answer)

    def _seize(self, pid: int) -> int:
        assert self._tracer is not None
        try:
            self._tracer.seize(pid)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def _take_listener(self, fd: int, poller: "select.poll") -> None:
        self._listeners[fd] = Listener(fd)
        poller.register(fd, select.POLLIN)

    def _close_listeners(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()


def _new_tracer(emulator: Emulator) -> "Tracer":
    from rootrun.sandbox.tracing import Tracer

    return Tracer(emulator.answer_trap)
