"""Handing the process over to another program for good."""

import os
from collections.abc import Sequence

from rootrun.annotation import NoReturn


def hand_over(argv: Sequence[str]) -> NoReturn:
    """Become the program ``argv[0]``, an absolute path, with the terminal and all (execve(2)).

    Nothing of this process is unwound: call it only where nothing is held.
    """
    os.execv(argv[0], list(argv))
