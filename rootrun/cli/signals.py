"""Signals that ask rootrun to stop become an exception, so that everything is cleaned up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rootrun.errors import Interrupted

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def signals_as_exceptions() -> Iterator[None]:
    """Raise Interrupted in the main thread on SIGINT, SIGTERM, SIGHUP and SIGQUIT.

    A signal that the caller ignores stays ignored: nohup(1) counts on it, and a
    shell's background jobs do. After the first one the others are held back, so that
    what it undoes is undone whole; ``signals_let_in`` (sandbox/forking) lets them in.
    """
    before = {number: signal.getsignal(number) for number in STOPPING}
    caught = [number for number in STOPPING if before[number] is not signal.SIG_IGN]
    is_stopping = False

    def interrupt(number: int, _: FrameType | None) -> None:
        nonlocal is_stopping
        held_back = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        if is_stopping and number in held_back:
            return  # it came together with the first one
        is_stopping = True
        raise Interrupted(number)

    for number in caught:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])
