"""What standard error is: a terminal or not, in colour or not (no-color.org)."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


def is_terminal() -> bool:
    """Say whether lines on standard error can be overwritten."""
    return sys.stderr.isatty() and (os.environ.get("TERM") or "dumb") != "dumb"


def is_coloured() -> bool:
    """Say whether to use colours: FORCE_COLOR says yes, NO_COLOR no, else a terminal decides."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal()


def red(text: str) -> str:
    """Return ``text`` in bold red, where colours are in use."""
    return f"\x1b[1;31m{text}\x1b[0m" if is_coloured() else text


@contextmanager
def terminal_modes_kept() -> Iterator[None]:
    """Undo at the end what the script, which writes to the same terminal, did to its modes.

    Not in the background, where they are those of another program.
    """
    if not os.isatty(_STDERR):
        yield
        return
    import termios

    before = termios.tcgetattr(_STDERR)
    try:
        yield
    finally:
        if _is_in_foreground() and termios.tcgetattr(_STDERR) != before:
            termios.tcsetattr(_STDERR, termios.TCSANOW, before)


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(_STDERR) == os.getpgrp()
    except OSError:  # it controls others, or nobody
        return False
