"""Forking without surprises: no handler of the parent runs in the child, no child outlives it."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rootrun.errors import SandboxError
from rootrun.sandbox import syscalls

EXIT_CHILD_FAILED = 1
FORWARDED_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""What asks rootrun to stop: cli/ catches them, and the script gets them too."""

_ALL = signal.valid_signals()


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Hold back all signals, and with them ``Interrupted``, until the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def signals_let_in() -> Iterator[None]:
    """Let in what asks rootrun to stop, until the end of the block.

    After the first of these signals cli/ holds back the others, while all is undone.
    """
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def keep_only(descriptors: Iterable[int]) -> None:
    """Close all descriptors but these and the standard streams."""
    first = 3
    for descriptor in sorted(descriptors):
        os.closerange(first, descriptor)
        first = max(first, descriptor + 1)
    syscalls.close_descriptors_from(first)


def fork_child(function: Callable[[], None]) -> int:
    """Run ``function`` in a forked child and return the child's pid.

    The child starts with all signals blocked and the parent's handlers gone, dies with the thread
    that forked it, and ends when ``function`` does: status 0, or 1 after an exception, which it
    keeps to itself; ``function`` reports its own failures. The caller reaps it. Raises
    ``SandboxError`` if the system has no room for one more process.
    """
    parent = os.getpid()
    with signals_blocked():
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
            # Inherited from a caller that wants no zombies: wait(2) would tell us nothing either.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            pid = os.fork()
        except OSError as error:
            raise SandboxError(f"start a process: {error.strerror}") from error
        if pid == 0:
            _run_child(function, parent)
        return pid


def _run_child(function: Callable[[], None], parent: int) -> None:
    status = EXIT_CHILD_FAILED
    try:
        for number in FORWARDED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        syscalls.die_with_parent()
        # 0: the parent is outside of this pid namespace, and no comparison is possible.
        if os.getppid() in {0, parent}:
            function()
            status = 0
    finally:
        os._exit(status)
