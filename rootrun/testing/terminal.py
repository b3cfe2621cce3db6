"""A shell, or a command, of a machine at this process's own terminal, or at its pipes."""

import fcntl
import os
import signal
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FrameType

from rootrun.errors import MachineError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.serving import EXECUTE, TERMINAL
from rootrun.testing.asking import Answers
from rootrun.testing.command import Command
from rootrun.testing.flows import Flow, carry, carry_rest
from rootrun.testing.link import ANSWERS_WITHIN_S, MachineLink
from rootrun.testing.task_names import STATE

_STDIN, _STDOUT, _STDERR = range(3)
_LOOK_S = 0.25  # how long a new size of the window may go unseen, where no signal tells
_SIZE_BYTES = 8  # of struct winsize (ioctl_tty(2))
_DEADLY = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# Not as a login shell: /etc/profile would set PATH, and hide what the image's own leads to. No
# history, which would be a change of the root. The terminal's own description may be missing.
_SHELL = r"""
export HISTFILE=
is_known() {
    for base in /etc /lib /usr/lib /usr/share; do
        [ -e "$base/terminfo/${1%"${1#?}"}/$1" ] && return
    done
    return 1
}
if [ -t 0 ]; then
    for name in "$TERM" xterm-256color xterm; do
        is_known "$name" && TERM=$name && break
    done
    command -v bash >/dev/null && export PS1='\h:\w\$ '
fi
command -v bash >/dev/null && exec bash
exec /bin/sh
"""


class Terminal(NamedTuple):
    """A terminal, as descriptors: the output may go elsewhere."""

    input: int
    output: int


def shell_of(line: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return what runs: a line for the shell, a command, or (None) a shell that the image has."""
    if line is None or isinstance(line, str):
        return "/bin/sh", "-c", _SHELL if line is None else line
    return tuple(line)


def interact(link: MachineLink, command: Command) -> int:
    """Run ``command`` at the terminal of this process, and return its status.

    Raises ``MachineError`` if there is no terminal.
    """
    with _own_terminal() as terminal:
        return run_at_terminal(link, command, terminal)


@contextmanager
def _own_terminal() -> Iterator[Terminal]:
    """Give the terminal of standard input and output, else that which controls this process."""
    if os.isatty(_STDIN) and os.isatty(_STDOUT):
        yield Terminal(_STDIN, _STDOUT)
        return
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise MachineError(
            f"interact with a shell: no terminal: /dev/tty: {error.strerror}",
            hint="execute() runs a command without one",
        ) from error
    try:
        yield Terminal(fd, fd)
    finally:
        os.close(fd)


def run_at_terminal(link: MachineLink, command: Command, terminal: Terminal) -> int:
    """Run ``command`` at a terminal of the machine's own, which ``terminal`` shows.

    Returns its status; 128+N says that signal N ended it. Whatever happens, ``terminal`` has its
    modes back.
    """
    environment = {"TERM": os.environ.get("TERM") or "dumb", **(command.environment or {})}
    size = os.get_terminal_size(terminal.input)
    values = {
        **command._replace(environment=environment).values(),
        "rows": size.lines,
        "columns": size.columns,
    }
    with ExitStack() as cleanup:
        answers = cleanup.enter_context(link.answers(TERMINAL, values))
        master = _terminal_of(answers, link.name)
        cleanup.callback(os.close, master)
        os.set_blocking(master, False)
        output = _opened_anew(terminal.output)
        cleanup.callback(os.close, output)
        copy_size = _size_copier(terminal.input, master)
        is_told = _on_signal(cleanup, signal.SIGWINCH, copy_size)
        copy_size()
        cleanup.enter_context(_raw(terminal.input))
        flows = [
            Flow(terminal.input, master, for_command=True, end=_tell_gone),
            Flow(master, output),
        ]
        status = carry(flows, answers, interval_s=None if is_told else _LOOK_S, look=copy_size)
        carry_rest(flows[1])  # of a terminal that is hung up: nobody writes to it any more
    return _status(link, status)


def run_at_pipes(link: MachineLink, command: Command) -> int:
    """Run ``command`` with our standard input, output and error, by pipes; return its status."""
    with ExitStack() as cleanup:
        stdin, stdout, stderr = (_Pipe(cleanup) for _ in range(3))
        theirs = [stdin.reader, stdout.writer, stderr.writer]
        answers = cleanup.enter_context(link.answers(EXECUTE, command.values(), descriptors=theirs))
        for pipe, fd in zip((stdin, stdout, stderr), theirs, strict=True):
            pipe.close(fd)
        for fd in (stdin.writer, stdout.reader, stderr.reader):
            os.set_blocking(fd, False)
        flows = [
            Flow(_STDIN, stdin.writer, for_command=True, end=lambda: stdin.close(stdin.writer)),
            Flow(stdout.reader, _STDOUT),
            Flow(stderr.reader, _STDERR),
        ]
        status = carry(flows, answers, interval_s=None, look=lambda: None)
        for pipe, flow in zip((stdout, stderr), flows[1:], strict=True):
            carry_rest(flow, held_bytes=fcntl.fcntl(pipe.reader, fcntl.F_GETPIPE_SZ))
    return _status(link, status)


class _Pipe:
    """A pipe of which each end is closed once."""

    def __init__(self, cleanup: ExitStack) -> None:
        self.reader, self.writer = os.pipe()
        self._open = {self.reader, self.writer}
        cleanup.callback(self._close_all)

    def close(self, fd: int) -> None:
        self._open.remove(fd)
        os.close(fd)

    def _close_all(self) -> None:
        for fd in [*self._open]:
            self.close(fd)


def _terminal_of(answers: Answers, name: str) -> int:
    """Return our side of the terminal that init has made."""
    deadline_s = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        answer = answers.only(deadline_s, what=f"{name}: open a terminal")
        if answer.descriptors:
            return answer.descriptors[0]


def _opened_anew(fd: int) -> int:
    """Return a descriptor of the same terminal that does not block, for us alone.

    The modes of the given one are shared with who started us. Else the same, duplicated.
    """
    if os.isatty(fd):
        # EACCES: a terminal of another user, as after su(1).
        with suppress(OSError):
            flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            return os.open(f"/proc/self/fd/{fd}", flags)
    return os.dup(fd)


def _tell_gone() -> None:
    raise MachineError("interact with a shell: the terminal has gone")


def _status(link: MachineLink, status: int | None) -> int:
    if status is None:
        link.ask(STATE, what=f"look at machine {link.name}")  # raises why
        raise MachineError(f"{link.name}: the machine has ended")
    return status


@contextmanager
def _raw(fd: int) -> Iterator[None]:
    """Have each key come as it is pressed, in the block."""
    before = termios.tcgetattr(fd)
    with ExitStack() as cleanup:
        cleanup.callback(_set_modes, fd, before)
        _call_before_death(cleanup, lambda: _set_modes(fd, before))
        # What was typed ahead is for the shell: not TCSAFLUSH.
        tty.setraw(fd, termios.TCSANOW)
        modes = termios.tcgetattr(fd)
        # The shell that started us may have had the terminal in between (kill -STOP, fg).
        _on_signal(cleanup, signal.SIGCONT, lambda: _set_modes(fd, modes))
        yield


def _set_modes(fd: int, modes: list[int | list[bytes | int]]) -> None:
    """Set the modes of a terminal, unless it is another job's now, or gone."""
    with suppress(OSError, termios.error):
        if _is_another_jobs(fd):
            return
        termios.tcsetattr(fd, termios.TCSANOW, modes)


def _is_another_jobs(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:  # it does not control this process
        return False


def _call_before_death(cleanup: ExitStack, function: Callable[[], None]) -> None:
    """Have ``function`` called before a signal ends this process, which then ends as it would."""

    def die(number: int) -> None:
        function()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for number in _DEADLY:
        if signal.getsignal(number) is signal.SIG_DFL:  # else somebody sees to it
            _on_signal(cleanup, number, partial(die, number))


def _size_copier(source: int, master: int) -> Callable[[], None]:
    """Return what makes the machine's terminal as large as ours, if that has changed."""
    last = b""

    def copy() -> None:
        nonlocal last
        with suppress(OSError):  # it has gone
            size = fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(_SIZE_BYTES))
            if size != last:
                fcntl.ioctl(master, termios.TIOCSWINSZ, size)
                last = size

    return copy


def _on_signal(cleanup: ExitStack, number: int, function: Callable[[], None]) -> bool:
    """Have ``function`` called on a signal until ``cleanup``; return False where none can be."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        function()

    try:
        before = signal.signal(number, handle)
    except ValueError:  # not in the main thread
        return False
    cleanup.callback(signal.signal, number, before or signal.SIG_DFL)
    return True
