"""What standard error is: a terminal or not, in colour or not (no-color.org)."""

import os
import sys


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
