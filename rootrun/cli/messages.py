"""Messages and errors become lines on standard error."""

import sys
from contextlib import suppress

from rootrun import log
from rootrun.cli.terminal import red
from rootrun.errors import RootrunError
from rootrun.log import Level

PREFIX = "rootrun: "


def set_up_messages(*, verbose: int, quiet: int) -> None:
    """Send the messages of this process to standard error, as many as asked for."""
    least = Level.INFO - verbose + quiet
    log.listen(_tell, least=Level(max(Level.DEBUG, min(least, Level.NOTHING))))


def _tell(level: Level, text: str) -> None:
    kind = "warning: " if level is Level.WARNING else ""
    _print(f"{PREFIX}{kind}{one_line(text)}")


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
    import traceback

    _print("".join(traceback.format_exception(error)).rstrip("\n"))


def one_line(text: str) -> str:
    """Return ``text`` with control characters escaped: names in images are not to be trusted."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _print(line: str) -> None:
    with suppress(OSError):  # nobody is there to be told, and the exit status says enough
        print(line, file=sys.stderr, flush=True)
