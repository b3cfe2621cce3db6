"""The prompt of ``rootrun test --interactive``."""

import os
import signal
import sys
from code import InteractiveConsole
from pathlib import Path

from rootrun.cli.messages import one_line
from rootrun.testing.driver.failure import failure_of
from rootrun.testing.driver.script import Script

_CONSOLE = "<console>"


def prompt(banner: str, names: dict[str, object], *, shows_ours: bool) -> int:
    """Run what is typed with ``names`` until the end of it, or an exit; return its status.

    Ctrl-C ends what is at work. Of a traceback the frames of rootrun are shown if ``shows_ours``.
    """
    names.update(exit=sys.exit, quit=sys.exit)
    if os.isatty(0):
        _complete(names)
    console = InteractiveConsole(names, _CONSOLE)
    nothing = Script(Path(_CONSOLE), "", compile("", _CONSOLE, "exec"))

    def show_error() -> None:
        error = sys.exc_info()[1]
        assert error is not None
        failure = failure_of(error, nothing, shows_ours=shows_ours)
        hint = [f"hint: {failure.hint}"] if failure.hint else []
        for line in (*failure.lines, *hint):
            print(one_line(line), file=sys.stderr, flush=True)

    setattr(console, "showtraceback", show_error)  # noqa: B010 # to inherit would say no more
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        console.interact(banner, exitmsg="")
    except SystemExit as error:
        return error.code & 0xFF if isinstance(error.code, int) else int(error.code is not None)
    finally:
        signal.signal(signal.SIGINT, before)
    return 0


def _complete(names: dict[str, object]) -> None:
    """Have names completed by the tabulator, and lines edited."""
    try:
        import readline
        import rlcompleter
    except ImportError:  # a Python without it
        return
    readline.set_completer(rlcompleter.Completer(names).complete)
    readline.parse_and_bind("tab: complete")
