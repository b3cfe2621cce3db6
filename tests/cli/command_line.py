"""The command line as a test calls it, in this process: what it printed, and its status."""

import contextlib
import io
from typing import NamedTuple

from rootrun.cli.main import main


class Outcome(NamedTuple):
    """What a call of the command line did."""

    status: int
    stdout: str
    stderr: str


def call(*argv: str) -> Outcome:
    """Call the command line with ``argv``."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        status = main(argv)
    return Outcome(status, stdout.getvalue(), stderr.getvalue())


def error_of(*argv: str) -> str:
    """Return the one error line of a call that must fail with 125, without its prefix."""
    outcome = call(*argv)
    lines = outcome.stderr.splitlines()
    assert (outcome.status, outcome.stdout) == (125, ""), outcome
    assert lines[0].startswith("rootrun: error: "), lines
    assert all(line.startswith("rootrun: hint: ") for line in lines[1:]), lines
    assert len(lines) <= 2, lines
    return lines[0].removeprefix("rootrun: error: ")
