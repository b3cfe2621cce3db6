"""A terminal with a program at it, driven as its user would: keys in, a screen out."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.program import clean_environment
from tests.support.workplace import Workplace

_WITHIN_S = 30.0
_PAUSE_S = 0.02

Modes = list[int | list[bytes | int]]


class Terminal:
    """A terminal of 24 lines and 80 columns, and the program that has it."""

    def __init__(self, master: int, pid: int, path: str) -> None:
        self._master = master
        self._pid = pid
        self._path = path
        self.shown = b""
        self._status: int | None = None

    def type(self, keys: str | bytes) -> None:
        """Type ``keys``, while what is shown is read."""
        left = keys.encode() if isinstance(keys, str) else keys
        while left:
            self._read(0.0)
            left = left[self._write(left) :]

    def resize(self, *, lines: int, columns: int) -> None:
        """Give the window another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def wait_for(self, text: str, *, count: int = 1) -> str:
        """Read until ``text`` is shown ``count`` times since the last call; return all until then.

        An echo counts too: type it in another spelling than it is to be shown in.
        """
        deadline_s = time.monotonic() + _WITHIN_S
        wanted = text.encode()
        while self.shown.count(wanted) < count:
            assert time.monotonic() < deadline_s, f"{text!r} is not in {self.shown[-2000:]!r}"
            assert self._read(0.1) or self._is_open(), f"ended with {self.shown[-2000:]!r}"
        *before, self.shown = self.shown.split(wanted, count)
        return wanted.join(before).decode(errors="replace")

    def modes(self, *, new: Modes | None = None) -> Modes:
        """Return the modes of the terminal (termios(3)), once ``new`` ones are set, if any."""
        fd = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if new is not None:
                termios.tcsetattr(fd, termios.TCSANOW, new)
            return termios.tcgetattr(fd)
        finally:
            os.close(fd)

    def send(self, number: int) -> None:
        """Send a signal to the program."""
        os.kill(self._pid, number)

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._master)
        self._master = -1

    def status(self) -> int:
        """Wait for the end of the program, and return its exit status; -N for signal N."""
        deadline_s = time.monotonic() + _WITHIN_S
        while self._status is None:
            assert time.monotonic() < deadline_s, f"it goes on: {self.shown[-2000:]!r}"
            self._read(_PAUSE_S)
            pid, code = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(code)
        while self._read(0.0):
            pass
        return self._status

    def text(self) -> str:
        """Return what is shown since the last ``wait_for``."""
        return self.shown.decode(errors="replace")

    def close(self) -> None:
        """End the program, if it has not, and hang up."""
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        if self._master >= 0:
            os.close(self._master)

    def _is_open(self) -> bool:
        pid, code = (
            (self._pid, 0) if self._status is not None else os.waitpid(self._pid, os.WNOHANG)
        )
        if pid and self._status is None:
            self._status = os.waitstatus_to_exitcode(code)
        return self._status is None

    def _read(self, timeout_s: float) -> bool:
        if self._master < 0:
            time.sleep(timeout_s)
            return False
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        try:
            chunk = os.read(self._master, 1 << 16)
        except OSError:  # EIO: nobody has the terminal open
            return False
        self.shown += chunk
        return bool(chunk)

    def _write(self, keys: bytes) -> int:
        try:
            return os.write(self._master, keys[:4096])
        except BlockingIOError:
            time.sleep(0.001)
            return 0


@contextmanager
def at_terminal(
    workplace: Workplace, argv: Sequence[str | Path], *, term: str = "xterm"
) -> Iterator[Terminal]:
    """Run ``argv`` at a terminal in the directory of ``workplace``, by its account."""
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    if workplace.account is not None:
        os.chown(path, workplace.account.uid, workplace.account.gid)
    os.set_blocking(master, False)
    environment = {**clean_environment(workplace.account), "TERM": term}
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    pid = os.fork()
    if pid == 0:
        try:
            _become(workplace, slave, [os.fspath(word) for word in argv], environment)
        finally:
            os._exit(126)
    terminal = Terminal(master, pid, path)
    os.close(slave)
    try:
        yield terminal
    finally:
        terminal.close()


def _become(
    workplace: Workplace, slave: int, argv: Sequence[str], environment: dict[str, str]
) -> None:
    os.login_tty(slave)
    if workplace.account is not None:
        os.setgroups([])
        os.setresgid(*[workplace.account.gid] * 3)
        os.setresuid(*[workplace.account.uid] * 3)
    os.chdir(workplace.path)
    os.execve(argv[0], [*argv], environment)
