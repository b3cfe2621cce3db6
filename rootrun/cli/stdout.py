"""Standard output, where only what was asked for goes."""

import os
import sys

from rootrun.errors import OutputError


def write_out(text: str) -> None:
    """Write ``text`` to standard output at once.

    Raises BrokenPipeError if nobody reads any more, OutputError if it cannot be
    written otherwise.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _drop_stdout()
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"write standard output: {error.strerror}") from error


def _drop_stdout() -> None:
    # The interpreter flushes at its end, and would complain about the same once more.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
