"""Many runs at once on one cold cache: all get the same image, also when one of them is killed."""

import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

from tests.torture.ground import HANGS_AFTER_S, Ground

RUNS = 16
_KILLS_WITHIN_S = 1.0


def wrongs_of_crowds(ground: Ground, *, seed: int, count: int) -> Iterator[list[str]]:
    """Start RUNS runs at once, ``count`` times, and yield what is wrong after each time.

    In every second one of these, one run is killed in the middle.
    """
    chooser = random.Random(seed)
    for number in range(count):
        ground.make_cold()
        members = [_member(ground, index) for index in range(RUNS)]
        victim = chooser.randrange(RUNS) if number % 2 else None
        runs = [member.start() for member in members]
        if victim is not None:
            time.sleep(chooser.uniform(0, _KILLS_WITHIN_S))
            os.kill(runs[victim].pid, signal.SIGKILL)
        wrongs = []
        for index, (member, run) in enumerate(zip(members, runs, strict=True)):
            _, errors = run.communicate(timeout=HANGS_AFTER_S)
            if index == victim and run.returncode == -signal.SIGKILL:
                wrongs += member.wrongs_of_output() if member.output.exists() else []
            else:
                wrongs += member.wrongs_of_end(run.returncode, errors.decode())
                wrongs += [f"status {run.returncode}: {errors.decode()}"] if run.returncode else []
            member.output.unlink(missing_ok=True)
        yield [
            *wrongs,
            *ground.wrongs_left(),
            *ground.wrongs_of_next_run(),
            *ground.wrongs_of_cache(),
        ]


def _member(ground: Ground, index: int) -> Ground:
    """Return ``ground`` with an output of its own."""
    return replace(ground, output_name=f"out-{index}.tar")
