"""Messages: log records and errors become lines on standard error."""

import logging
import sys
import traceback
from contextlib import suppress

from rootrun.cli.terminal import red
from rootrun.errors import RootrunError

_LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)
_DEFAULT_LEVEL = 2
PREFIX = "rootrun: "


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        kind = "warning: " if record.levelno == logging.WARNING else ""
        return f"{PREFIX}{kind}{one_line(record.getMessage())}"


def set_up_messages(*, verbose: int, quiet: int) -> None:
    """Send the messages of the package to standard error, as many as asked for."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    step = _DEFAULT_LEVEL + verbose - quiet
    logger = logging.getLogger("rootrun")
    logger.setLevel(_LEVELS[max(0, min(step, len(_LEVELS) - 1))])
    logger.handlers = [handler]
    logger.propagate = False
    logging.raiseExceptions = False  # a closed standard error is no reason for a traceback


def tell_error(error: RootrunError) -> None:
    """Print the error, and its hint if it has one."""
    _print(f"{red(f'{PREFIX}error:')} {one_line(str(error))}")
    if error.hint:
        _print(f"{PREFIX}hint: {one_line(error.hint)}")


def tell_internal_error(error: BaseException) -> None:
    """Print one line for what should not have happened."""
    what = one_line(f"{type(error).__name__}: {error}")
    _print(f"{red(f'{PREFIX}error:')} internal error: {what}")
    _print(f"{PREFIX}hint: please report it, with what --debug shows")


def tell_traceback(error: BaseException) -> None:
    """Print where the error came from."""
    _print("".join(traceback.format_exception(error)).rstrip("\n"))


def one_line(text: str) -> str:
    """Return ``text`` with control characters escaped: names in images are not to be trusted."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _print(line: str) -> None:
    with suppress(OSError):  # nobody is there to be told, and the exit status says enough
        print(line, file=sys.stderr, flush=True)
