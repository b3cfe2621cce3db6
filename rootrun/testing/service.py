"""A service of a machine, as a test sees it."""

import os
import re
import signal
import time
from collections.abc import Mapping

from rootrun.errors import MachineError, MachineTimeoutError, RootrunError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.serving import KILL
from rootrun.testing.command import Command, short, told_as_command
from rootrun.testing.link import ANSWERS_WITHIN_S, MachineLink
from rootrun.testing.report import section, stacks_told, state_of
from rootrun.testing.task_names import SERVICE, START_SERVICE
from rootrun.testing.waiting import wait_until

TIMEOUT_S = 900.0
GRACE_S = 5.0

_NOTHING_SEEN, _ALL_SEEN = -1, 1 << 62
_KILLED_WITHIN_S = 10.0
_TOLD_WITHIN_S = 5.0
_PROBE = 0  # a signal that is none (kill(2))
_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class Start(NamedTuple):
    """What is to be started, and what it is called in reports."""

    command: str
    name: str | None = None
    user: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] | None = None


class _State(NamedTuple):
    status: int | None
    written_bytes: int
    dropped_bytes: int
    is_silent: bool  # nobody can write to its log any more
    log: str


class Service:
    """A command that runs in the background. A context manager, which stops it.

    What it writes to stdout and stderr is its log: the last megabytes of it can be read as long as
    its machine is not closed, also when both have ended. Several threads may use it at once.
    """

    def __init__(self, link: MachineLink, start: Start, *, timeout: float) -> None:
        self.command = start.command
        self._link = link
        line = Command(["/bin/sh", "-c", start.command], start.env, start.cwd, start.user)
        names = {
            "name": start.name or name_of(start.command),
            "is_named": start.name is not None,
            "command": start.command,
        }
        what = f"{link.name}: start {short(start.command)}"
        with link.journal.noting(f"start {short(start.command)}"), told_as_command(what):
            started = link.ask(
                START_SERVICE,
                {**line.values(), **names},
                what=what,
                deadline_s=time.monotonic() + timeout,
            )
        number, pid, name = started.message.values
        self.name = str(name)
        self.pid = int(pid or 0)  # in the machine
        self._number = int(number or 0)

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def status(self) -> int | None:
        """The status it ended with, 128+N for signal N; None while it runs."""
        return self._state(wants_log=False).status

    def is_running(self) -> bool:
        """Say whether it has not ended."""
        return self.status is None

    def log(self) -> str:
        """Return what it has written; the first line says what was dropped for want of room."""
        return self._state().log

    def wait(self, *, timeout: float = TIMEOUT_S) -> int:
        """Wait until it has ended, and return its status.

        Raises MachineTimeoutError, which shows its processes and its log.
        """
        deadline_s = time.monotonic() + timeout
        try:
            state = self._state(_ALL_SEEN, wants_log=False, deadline_s=deadline_s)
        except MachineTimeoutError:
            where = stacks_told(self._link.child.questions, self.pid)
            raise MachineTimeoutError(
                f"{self._title()}: did not end within {timeout:g} s{where}{self._tail()}"
            ) from None
        assert state.status is not None
        return state.status

    def wait_for_log(self, wanted: str | re.Pattern[str], *, timeout: float = TIMEOUT_S) -> str:
        """Wait until ``wanted``, a text or a pattern, is in the log; return the line that has it.

        Raises MachineError once the service has ended, and nothing can come any more.
        """
        text = wanted if isinstance(wanted, str) else wanted.pattern
        pattern = re.compile(re.escape(wanted)) if isinstance(wanted, str) else wanted
        deadline_s = time.monotonic() + timeout
        seen_bytes = _NOTHING_SEEN
        while True:
            try:
                state = self._state(seen_bytes, deadline_s=deadline_s)
            except MachineTimeoutError:
                raise MachineTimeoutError(
                    f"{self._title()}: {text!r} was not in its log within "
                    f"{timeout:g} s{self._tail()}"
                ) from None
            found = pattern.search(state.log)
            if found:
                return _lines_around(state.log, found)
            if state.status is not None and state.is_silent:
                raise MachineError(
                    f"{self._title()}: {state_of(state.status)}, and {text!r} is not in "
                    f"its log{self._tail()}"
                )
            seen_bytes = state.written_bytes

    def stop(self, *, grace: float = GRACE_S) -> int:
        """End it, with all of its session: SIGTERM, after ``grace`` seconds SIGKILL.

        Returns its status. Nothing happens if it has ended, and all of its session.
        """
        if self._signal(signal.SIGTERM):
            with self._link.journal.noting(f"stop service {self.name}"):
                self._end(grace)
        return self.wait(timeout=_KILLED_WITHIN_S)

    def _end(self, grace: float) -> None:
        self._signal(signal.SIGCONT)
        try:
            wait_until(self._is_gone, timeout_s=grace, describe=self._title)
        except MachineTimeoutError:
            self._signal(signal.SIGKILL)
            wait_until(self._is_gone, timeout_s=_KILLED_WITHIN_S, describe=self._title)

    def _is_gone(self, _: float) -> bool:
        return not self._signal(_PROBE)

    def _signal(self, number: int) -> int:
        """Send a signal to the processes of its session, and return how many there are."""
        state = self._state(wants_log=False)
        if state.status is not None and state.is_silent:
            return 0  # its number may be that of another by now
        try:
            sent = self._link.ask(
                KILL, {"pid": self.pid, "signal": int(number)}, what=self._title()
            )
        except MachineError:
            if self._link.is_up():
                raise
            return 0
        return int(sent.message.values[0] or 0)

    def _state(
        self,
        seen_bytes: int = _NOTHING_SEEN,
        *,
        wants_log: bool = True,
        deadline_s: float | None = None,
    ) -> _State:
        """Return how it is, once it has ended or written more than ``seen_bytes``."""
        deadline_s = deadline_s or time.monotonic() + ANSWERS_WITHIN_S
        values = {"number": self._number, "seen": seen_bytes, "log": wants_log}
        answer = self._link.ask(SERVICE, values, what=self._title(), deadline_s=deadline_s)
        status, written, dropped, is_silent = answer.message.values
        assert status is None or isinstance(status, int)
        content = b"".join(map(_content, answer.descriptors))
        log = content.decode(errors="backslashreplace")
        if dropped:
            log = f"[{dropped} bytes before this were dropped]\n{log}"
        return _State(status, int(written or 0), int(dropped or 0), bool(is_silent), log)

    def _title(self) -> str:
        return f"{self._link.name}: service {self.name}"

    def _tail(self) -> str:
        deadline_s = time.monotonic() + _TOLD_WITHIN_S
        try:
            log = self._state(deadline_s=deadline_s).log
        except RootrunError:  # there is an error to be told already
            return ""
        return section("its log", log) or "\nit wrote nothing"


def name_of(command: str) -> str:
    """Return what a service is called: the program of ``command``, as far as that can be seen."""
    words = [word for word in command.split() if "=" not in word and word != "exec"]
    program = os.path.basename(words[0]) if words else ""
    return _NO_NAME.sub("-", program).strip("-") or "service"


def _content(fd: int) -> bytes:
    # By position: the other end has it open, too.
    with open(fd, "rb") as file:
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)


def _lines_around(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return text[start : end if end >= 0 else len(text)]
