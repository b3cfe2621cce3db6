"""Signals that ask rootrun to stop become an exception, so that everything is cleaned up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from rootrun.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raise Interrupted in the main thread on SIGINT, SIGTERM, SIGHUP and SIGQUIT.

    A signal that the caller ignores stays ignored: nohup(1) counts on it, and a
    shell's background jobs do.
    """
    before = {number: signal.getsignal(number) for number in STOPPING}
    caught = [number for number in STOPPING if before[number] is not signal.SIG_IGN]
    for number in caught:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])


def _interrupt(signal_number: int, _: FrameType | None) -> NoReturn:
    raise Interrupted(signal_number)
