"""Waiting for something to come true."""

import time
from collections.abc import Callable

from rootrun.errors import MachineTimeoutError

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.25


def wait_until(
    is_true: Callable[[float], bool],
    *,
    timeout_s: float,
    describe: Callable[[], str],
    details: Callable[[], str] = str,
) -> None:
    """Call ``is_true`` with the time left in seconds, again and again, until it returns True.

    Raises ``MachineTimeoutError`` with what ``describe`` returns at the end, and ``details``, which
    are lines of their own.
    """
    deadline_s = time.monotonic() + timeout_s
    pause_s = FIRST_PAUSE_S
    while True:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise MachineTimeoutError(f"{describe()}: not within {timeout_s:g} s{details()}")
        if is_true(left_s):
            return
        time.sleep(min(pause_s, max(0.0, deadline_s - time.monotonic())))
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
