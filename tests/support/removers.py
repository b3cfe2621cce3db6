"""The processes that remove large scratch trees after their runs."""

import os
import time
from contextlib import suppress
from pathlib import Path

_GONE_WITHIN_S = 60


def removers() -> set[int]:
    """Return the pids of all there are."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if (process / "comm").read_text() == "rootrun-removal\n":
                found.add(int(process.name))
    return found


def becomes_empty(directory: Path) -> bool:
    """Wait until nothing is in ``directory`` any more; say whether that comes to be."""
    deadline_s = time.monotonic() + _GONE_WITHIN_S
    while os.listdir(directory):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True
