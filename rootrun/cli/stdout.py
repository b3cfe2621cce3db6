"""Standard output, where only what was asked for goes."""

import os
import sys

from rootrun.errors import OutputError


def write_out(text: str) -> None:
    """Write ``text`` to standard output at once.

    Raises BrokenPipeError if nobody reads any more, OutputError if it cannot be
    written otherwise.
    """
    require_stdout()
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _drop_stdout()
        if isinstance(error, BrokenPipeError):
            raise
        raise OutputError(f"write standard output: {error.strerror}") from error


def require_stdout() -> None:
    """Raise OutputError if the caller closed standard output (``>&-``)."""
    if not has_stdout():
        raise OutputError("write standard output: it is closed", hint="redirect it to /dev/null")


def has_stdout() -> bool:
    """Say whether there is a standard output: the interpreter sets None for a closed one."""
    stdout: object = sys.stdout  # which typeshed does not know to be None
    return stdout is not None


def _drop_stdout() -> None:
    # The interpreter flushes at its end, and would complain about the same once more.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
