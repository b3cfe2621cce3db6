"""A program of ours that works for this process as long as it lives."""

import os
from collections.abc import Mapping, Sequence


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


def environment_for_ours() -> dict[str, str]:
    """Return our environment, with which ``python -m rootrun...`` finds this very rootrun."""
    import rootrun

    here = os.path.dirname(os.path.dirname(os.path.abspath(rootrun.__file__)))
    there = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}:{there}" if there else here}
