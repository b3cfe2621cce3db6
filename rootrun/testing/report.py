"""What a failure shows beside its own line: output, services, and where processes stand."""

import time

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import RootrunError
from rootrun.testing.asking import ask, content_of
from rootrun.testing.task_names import SERVICES, STACKS

if TYPE_CHECKING:
    import _socket

ALL_SESSIONS = 0  # in place of the pid that one has
LINES = 100  # of an output
_LINES_OF_LOG = 20
_LINES_OF_STACKS = 400
_LONGEST_LINE = 1000  # characters
_TOLD_WITHIN_S = 5.0


def section(title: str, text: str, *, lines: int = LINES) -> str:
    """Return the last ``lines`` of ``text`` below ``title``; nothing where there is no text."""
    if not text.strip():
        return ""
    shown = text.rstrip().splitlines()
    if len(shown) > lines:
        title += f" ({len(shown) - lines} lines before these are left out)"
    return "".join([f"\n{title}:", *(f"\n  {_short(line)}" for line in shown[-lines:])])


def output_told(stdout: str, stderr: str) -> str:
    """Return what a command wrote."""
    return section("stdout", stdout) + section("stderr", stderr)


def services_told(asked: "_socket.socket", *, deadline_s: float | None = None) -> str:
    """Return how the services of a machine are, and the end of what they wrote.

    Nothing, if the machine cannot tell that until ``deadline_s`` (monotonic), or within seconds.
    """
    told = _told(asked, SERVICES, {}, deadline_s or _deadline_s())
    return "".join(_service(one) for one in told) if isinstance(told, list) else ""


def stacks_told(asked: "_socket.socket", pid: int, *, deadline_s: float | None = None) -> str:
    """Return where the processes stand that the session of ``pid`` has, and those below them."""
    told = _told(asked, STACKS, {"pid": pid}, deadline_s or _deadline_s())
    return section("processes by then", str(told or ""), lines=_LINES_OF_STACKS)


def state_told(asked: "_socket.socket", pid: int) -> str:
    """Return the stacks of a session, and the services."""
    deadline_s = _deadline_s()  # of both: who does not answer one may hang
    stacks = stacks_told(asked, pid, deadline_s=deadline_s)
    return stacks + services_told(asked, deadline_s=deadline_s)


def state_of(status: int | None) -> str:
    """Say whether a service runs."""
    return "is running" if status is None else f"ended with status {status}"


def _service(values: dict[str, object]) -> str:
    status = values["status"]
    assert status is None or isinstance(status, int)
    title = f"service {values['name']}: {state_of(status)}"
    log = section(f"{title}, its log", str(values["tail"]), lines=_LINES_OF_LOG)
    return log or f"\n{title}, it wrote nothing"


def _deadline_s() -> float:
    return time.monotonic() + _TOLD_WITHIN_S


def _told(
    asked: "_socket.socket", task: str, values: dict[str, object], deadline_s: float
) -> object:
    """Return what a keeper tells, None if it cannot: there is a failure to be told already."""
    try:
        with ask(asked, task, values) as answers:
            return content_of(answers.only(deadline_s, what=task))
    except RootrunError:
        return None


def _short(line: str) -> str:
    more = len(line) - _LONGEST_LINE
    return line if more <= 0 else f"{line[:_LONGEST_LINE]}... ({more} characters more)"
