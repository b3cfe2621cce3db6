"""Work in a forked child, beside the script, with its errors raised in the parent."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rootrun import log
from rootrun.errors import RootrunError, SandboxError
from rootrun.sandbox.forking import fork_child, signals_blocked
from rootrun.sandbox.wire import Message, MessageReader, error_from, send, send_error

_LONGEST_TEXT = 1 << 16  # of an error: the names in an image are long, and the pipe is ours alone


class ChildTask:
    """A function that runs in a child of this process."""

    __slots__ = ("_ended", "_error", "_name", "_pid", "_reader", "_report", "wall_s")

    def __init__(self, name: str, pid: int, report: int) -> None:
        self._name = name
        self._pid = pid
        self._report = report
        self._reader = MessageReader(report)
        self._ended = False
        self._error: RootrunError | None = None
        self.wall_s = 0.0  # that the function took, once ``wait`` has returned

    def fileno(self) -> int:
        """Return a descriptor that is readable once the function has ended (poll(2))."""
        return self._report

    def wait(self) -> None:
        """Wait for the end; raise the child's ``RootrunError`` here. Again: the same answer."""
        if not self._ended:
            messages: list[Message] = []
            while not self._reader.is_at_end:
                messages.extend(self._reader.read())
            self._reap()
            self._error = self._outcome(messages)
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Kill the child if it still runs."""
        if not self._ended:
            os.kill(self._pid, signal.SIGKILL)
            self._reap()
        os.close(self._report)

    def _reap(self) -> None:
        os.waitpid(self._pid, 0)
        self._ended = True

    def _outcome(self, messages: list[Message]) -> RootrunError | None:
        for message in messages:
            if message.kind == "traceback":
                log.debug("%s: %s", self._name, message.values[0])
            elif message.kind == "error":
                return error_from(message)
            elif message.kind == "done":
                self.wall_s = float(message.values[0] or 0)
                return None
        return SandboxError(f"{self._name}: its process: was killed")


@contextmanager
def run_in_child(function: Callable[[], None], *, name: str) -> Iterator[ChildTask]:
    """Start ``function`` in a forked child; what still runs at the end of the block is killed.

    The child shares the open descriptors, dies with this process and ignores the terminal's
    signals, which the parent answers. ``name`` says in errors what the child does.
    """
    reader, writer = os.pipe()

    def report() -> None:
        os.close(reader)
        _ignore_terminal()
        _run(function, writer, name)

    task: ChildTask | None = None
    try:
        with signals_blocked():
            task = ChildTask(name, fork_child(report), reader)
            os.close(writer)
        yield task
    finally:
        with signals_blocked():
            if task is not None:
                task.end()


def _ignore_terminal() -> None:
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _run(function: Callable[[], None], report: int, name: str) -> None:
    started_s = time.monotonic()
    try:
        function()
    except BaseException as error:
        if log.is_debugging() and not isinstance(error, RootrunError):
            import traceback

            for line in traceback.format_exc().splitlines():
                send(report, "traceback", line)
        send_error(report, error, stage=name, longest=_LONGEST_TEXT)
    else:
        send(report, "done", time.monotonic() - started_s)
