"""Running one command in a machine: its output collected, its time limit kept."""

import os
import select
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import (
    EXIT_SIGNAL_BASE,
    CommandError,
    LimitError,
    MachineError,
    MachineGoneError,
    MachineTimeoutError,
    RootrunError,
    ScriptError,
    UsageError,
)
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.serving import EXECUTE, KILL
from rootrun.testing.asking import Answers, ask
from rootrun.testing.report import output_told, state_told

if TYPE_CHECKING:
    import _socket

_CHUNK_BYTES = 1 << 16
_KILLED_WITHIN_S = 5.0
_LONGEST_WORD_BYTES = (128 << 10) - 1  # MAX_ARG_STRLEN without the NUL (execve(2))
_LONGEST_NAMED = 400


class Result(NamedTuple):
    """How a command ended; a status of 128+N says that signal N ended it."""

    status: int
    stdout: str
    stderr: str


class Command(NamedTuple):
    """A command, and as what it runs. None: as the machine has it."""

    argv: Sequence[str]
    environment: Mapping[str, str] | None = None
    working_directory: str | None = None
    user: str | None = None
    stdin: int | None = None  # a descriptor; None: /dev/null

    def values(self) -> dict[str, object]:
        """As init is told; raises UsageError for what no program can be given."""
        for word in (*self.argv, *(self.environment or {}).values()):
            size = len(os.fsencode(word))
            if size > _LONGEST_WORD_BYTES:
                raise UsageError(
                    f"command: {short(word)!r}: of {size} bytes, of which the kernel takes "
                    f"{_LONGEST_WORD_BYTES}",
                    hint="write it to a file of the machine, and run that",
                )
            if "\0" in word:
                raise UsageError(f"command: {short(word)!r}: holds a NUL")
        return {
            "argv": [*self.argv],
            "environment": dict(self.environment or {}),
            "working_directory": self.working_directory,
            "user": self.user,
        }


def short(text: str) -> str:
    """Return ``text`` as an error may name it."""
    return text if len(text) <= _LONGEST_NAMED else f"{text[:_LONGEST_NAMED]}..."


@contextmanager
def told_as_command(what: str) -> Iterator[None]:
    """Turn a refusal to start a command into a ``CommandError`` about ``what``."""
    try:
        yield
    except (MachineError, LimitError, UsageError):  # these tell more than that it did not start
        raise
    except RootrunError as error:
        raise CommandError(f"{what}: {error}", hint=error.hint) from error


def run_command(
    machine: "_socket.socket", command: Command, *, timeout_s: float | None, what: str
) -> Result:
    """Run ``command`` to its end.

    What it left running goes on, and what that writes later is lost. Raises
    ``MachineTimeoutError`` after ``timeout_s``. Then, and if Ctrl-C or another exception comes in
    between, its processes are killed, but for those that have left its session. Raises
    ``MachineGoneError`` if the machine ends first.
    """
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    with _Collector() as collector:
        with told_as_command(what), _asked(machine, command, collector) as answers:
            try:
                status = _wait(answers, collector, deadline_s, what=what)
            except MachineTimeoutError:
                collector.drain()
                told = output_told(collector.text(0), collector.text(1))
                try:
                    told += state_told(machine, collector.pid)
                finally:
                    _kill(machine, answers, collector.pid)
                raise MachineTimeoutError(f"{what}: longer than {timeout_s:g} s{told}") from None
            except ScriptError as error:  # it was not to be found, or not executable
                return Result(error.exit_code, collector.text(0), f"{error}\n")
            except RootrunError:
                raise
            except BaseException:  # Ctrl-C, above all
                _kill(machine, answers, collector.pid)
                raise
        collector.drain()
        return Result(status, collector.text(0), collector.text(1))


def open_pipe() -> tuple[int, int]:
    """Return the ends of a pipe for what a command writes; to read from it does not block."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    # Users other than root open their own output as /dev/stdout, and this is its inode.
    os.fchmod(writer, 0o622)
    return reader, writer


class _Collector:
    """The pipes of a command. A context manager."""

    def __init__(self) -> None:
        self.pid = 0
        self.readers: list[int] = []
        self.writers: list[int] = []
        self._chunks: list[list[bytes]] = [[], []]
        with ExitStack() as undoing:
            undoing.callback(self.__exit__)
            for _ in self._chunks:
                reader, writer = open_pipe()
                self.readers.append(reader)
                self.writers.append(writer)
            undoing.pop_all()

    def __enter__(self) -> "_Collector":
        return self

    def __exit__(self, *_: object) -> None:
        for fd in (*self.readers, *self.writers):
            os.close(fd)

    def close_writers(self) -> None:
        """Leave the other ends to the command alone."""
        for fd in self.writers:
            os.close(fd)
        self.writers = []

    def read(self, fd: int) -> bool:
        """Read what is there from one of ``readers``; return whether there may be more."""
        try:
            chunk = os.read(fd, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if chunk:
            self._chunks[self.readers.index(fd)].append(chunk)
        return bool(chunk)

    def drain(self) -> None:
        """Read all that was written so far."""
        for fd in self.readers:
            while self.read(fd):
                pass

    def text(self, number: int) -> str:
        """Return the stdout (0) or stderr (1) so far."""
        return b"".join(self._chunks[number]).decode(errors="backslashreplace")


def _asked(machine: "_socket.socket", command: Command, collector: _Collector) -> Answers:
    nothing = None
    stdin = command.stdin
    if stdin is None:
        stdin = nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        standard = [stdin, *collector.writers]
        return ask(machine, EXECUTE, command.values(), descriptors=standard)
    finally:
        collector.close_writers()
        if nothing is not None:
            os.close(nothing)


def _wait(answers: Answers, collector: _Collector, deadline_s: float | None, *, what: str) -> int:
    """Collect output until the command has ended, and return its status."""
    poller = select.poll()
    for fd in (*collector.readers, answers.fileno()):
        poller.register(fd, select.POLLIN)
    while True:
        left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
        found = poller.poll(None if left_s is None else left_s * 1000)
        if not found:
            raise MachineTimeoutError(what)
        for fd, _ in found:
            if fd != answers.fileno():
                if not collector.read(fd):
                    poller.unregister(fd)
                continue
            answer = answers.next(deadline_s, what=what)
            if answer is None:
                raise MachineGoneError(f"{what}: the machine has ended")
            kind, (value, *_) = answer.message
            if kind == "started":
                collector.pid = int(value or 0)
            elif kind == "ended":
                code = int(value or 0)
                return code if code >= 0 else EXIT_SIGNAL_BASE - code


def _kill(machine: "_socket.socket", answers: Answers, pid: int) -> None:
    """Kill a command, also where nobody has heard yet what pid it has (0)."""
    deadline_s = time.monotonic() + _KILLED_WITHIN_S
    with suppress(RootrunError):  # the machine has gone, or the command has ended by itself
        if not pid:
            pid = int(answers.only(deadline_s, what="kill a command").message.values[0] or 0)
        values = {"pid": pid, "signal": int(signal.SIGKILL)}
        with ask(machine, KILL, values) as killed:
            killed.only(deadline_s, what="kill a command")
