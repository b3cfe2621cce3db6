"""A program of ours that works for this process as long as it lives."""

import os
import sys
from collections.abc import Mapping, Sequence

from rootrun.namedtuple import NamedTuple

_ENDS_WITHIN_S = 10.0


class Ended(NamedTuple):
    """How a program ended, and what it wrote."""

    status: int  # below zero: the signal that killed it
    stdout: str
    stderr: str


class Companion:
    """A running program in a session of its own, so that the terminal's signals pass it by.

    It is to end by itself once this process is gone, or has closed what they share.
    """

    def __init__(
        self, argv: Sequence[str], *, environment: Mapping[str, str], kept: Sequence[int]
    ) -> None:
        import subprocess

        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            env=dict(environment),
            pass_fds=tuple(kept),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.pid

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; kill it and return False where that takes longer."""
        import subprocess

        self._process.returncode = None  # it may have been left to end by itself
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def forget(self) -> None:
        """Leave it to end after this process."""
        self._process.returncode = 0  # else Popen warns of a child that still runs


def run_rootrun(args: Sequence[str | os.PathLike[str]]) -> Ended:
    """Run rootrun with ``args`` to its end, in a process that this one has no part in.

    So a caller that has threads stays as it is. The program is asked to stop when an exception
    comes in between, or the calling thread ends.
    """
    import subprocess

    attached = [sys.executable, "-P", "-m", "rootrun.sandbox.attached", str(os.getpid())]
    with subprocess.Popen(
        [*attached, *(os.fspath(arg) for arg in args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment_for_ours(),
        start_new_session=True,
        encoding="utf-8",
        errors="backslashreplace",
    ) as process:
        try:
            stdout, stderr = process.communicate()
        except BaseException:
            process.terminate()
            try:
                process.communicate(timeout=_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
        return Ended(process.returncode, stdout, stderr)


def environment_for_ours() -> dict[str, str]:
    """Return our environment, with which ``python -m rootrun...`` finds this very rootrun."""
    import rootrun

    here = os.path.dirname(os.path.dirname(os.path.abspath(rootrun.__file__)))
    there = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}:{there}" if there else here}
