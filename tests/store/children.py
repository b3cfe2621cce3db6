"""Fetching from the cache in children, some of which die in the middle."""

import os
import signal
import sys
import traceback
from collections.abc import Callable


def start_child(work: Callable[[], object], *, dies_at: int | None = None) -> int:
    """Start a child that does ``work``, and return its pid; its status is 0 if ``work`` returns.

    It is killed, as by SIGKILL from outside, before its ``dies_at``-th operation on files that
    Python has an audit event for (library/audit_events).
    """
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        if dies_at is not None:
            _die_at(dies_at)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def status_of(child: int) -> int:
    """Wait for the child, and return its exit status, or the negative number of its signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _die_at(number: int) -> None:
    left = number

    def count(event: str, _: tuple[object, ...]) -> None:
        nonlocal left
        if event == "open" or event.startswith(("os.", "fcntl.")):
            left -= 1
            if left == -1:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
