"""The entry of the program: ``rootrun`` and ``python -m rootrun``."""

import os
import sys

from rootrun import __version__

_STDERR = 2


def run() -> None:
    """Run the command line of this process and exit with its status."""
    _open_closed_streams()
    # Scripts ask for the version in loops: answer before anything is imported.
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"rootrun {__version__}")
        return
    from rootrun.loading import load_pathlib, load_with_less_ado

    load_with_less_ado()
    load_pathlib()
    import gc
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Python's handler shows a traceback. Ours come later, when there is something to undo.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # A run is short and its garbage has few cycles: looking for them costs 5 ms of a start.
    gc.set_threshold(100_000)
    from rootrun.cli.main import main

    _leave(main(sys.argv[1:]))


def _leave(status: int) -> None:
    """End at once: to free each object, as the interpreter does, takes a tenth of a warm run."""
    from contextlib import suppress

    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the caller closed it
        with suppress(OSError):  # who writes there flushes too, and has told what failed
            stream.flush()
    os._exit(status)


def _open_closed_streams() -> None:
    """Give 0, 1 and 2 something to stand for where the caller closed them (``2>&-``).

    Else the next files that are opened would get these numbers, and with them
    what the script says. ``sys.stdout`` stays None: that there is none is told
    where something is to be written there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            if number == _STDERR:
                sys.stderr = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    run()
