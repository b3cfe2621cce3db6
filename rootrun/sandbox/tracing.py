"""The tracer of a container's steps: stopped calls come in, answers go out (ptrace(2)).

Loaded only where a filter traps. Between their stops nothing is kept of the tracees, so that no
number of them and no order of events can confuse it.
"""

import errno
import os
import select
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rootrun.sandbox import ptrace, syscalls
from rootrun.sandbox.notify import SystemCall

_SIGNALFD_NUMBERS = {"x86_64": 289, "aarch64": 74}  # signalfd4(2)
_SIGNAL_BYTES = 128  # struct signalfd_siginfo
_AWAITED = {signal.SIGCHLD}
# Tracees alone: children are no clones by this word, and tracees need none (wait(2), Linux 4.7).
_WCLONE = -0x80000000
_ONCE = 64  # events, before signals and timeouts have their turn
_STOPPING = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


class Tracer:
    """Traces processes; ``answer`` says what their trapped calls return, or raises ``OSError``."""

    __slots__ = ("_answer", "_wakeups")

    def __init__(self, answer: Callable[[SystemCall], int]) -> None:
        self._answer = answer
        mask = struct.pack("=Q", 1 << signal.SIGCHLD - 1)
        number = _SIGNALFD_NUMBERS.get(os.uname().machine, -1)
        flags = os.O_CLOEXEC | os.O_NONBLOCK
        self._wakeups = syscalls.syscall("signalfd4", number, -1, mask, len(mask), flags)

    def fileno(self) -> int:
        """Return a descriptor that is readable when ``attend`` has something to do."""
        return self._wakeups

    @contextmanager
    def watching(self, poller: "select.poll") -> Iterator[None]:
        """Have ``poller`` tell of events in the block, where SIGCHLD is blocked for that."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
        try:
            poller.register(self._wakeups, select.POLLIN)
            signal.raise_signal(signal.SIGCHLD)  # for what happened outside of the block
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def seize(self, pid: int) -> None:
        """Trace a process and its descendants; all die with this process."""
        ptrace.seize(pid)

    def attend(self) -> None:
        """Let stopped tracees go on, reap dead ones; some of them at most, without blocking.

        Call it with signals blocked that raise exceptions: an event is told once.
        """
        with suppress(BlockingIOError):
            os.read(self._wakeups, _SIGNAL_BYTES)  # first: what comes from now on tells anew
        for _ in range(_ONCE):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | _WCLONE)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                with suppress(ProcessLookupError):  # it was killed, as the next event tells
                    self._let_go(pid, status)
        signal.raise_signal(signal.SIGCHLD)

    def reap_all(self) -> None:
        """Return when no tracee is left; all have to be dead or about to be killed.

        The pid 1 of a namespace ends only when all in it are reaped, and tracees by their tracer.
        """
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, _WCLONE)  # those that stand still stay so until they are killed

    def close(self) -> None:
        """Stop being woken up."""
        os.close(self._wakeups)

    def _let_go(self, pid: int, status: int) -> None:
        event, number = status >> 16, os.WSTOPSIG(status)
        if event == ptrace.EVENT_STOP and number in _STOPPING:
            ptrace.leave_stopped(pid)
        elif event:
            ptrace.resume(pid)
        elif number == signal.SIGSYS:
            self._take_sigsys(pid)
        else:
            ptrace.resume(pid, number)

    def _take_sigsys(self, pid: int) -> None:
        call = ptrace.stopped_call(pid)
        if call is None:
            ptrace.resume(pid, signal.SIGSYS)
            return
        try:
            value = self._answer(call.trap)
        except OSError as error:
            value = -(error.errno or errno.EIO)
        call.answer(value)
        ptrace.resume(pid)
