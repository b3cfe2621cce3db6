"""``--check``: the steps once more, under other conditions, and what came out otherwise."""

import os
import time
from pathlib import Path

from rootrun import log
from rootrun.attempt import Attempt, Job, attempt
from rootrun.compose.difference import Difference, differences, outcome_of
from rootrun.errors import NotReproducibleError
from rootrun.layer.compare import DiffNotes
from rootrun.rootfs.backend import COPY
from rootrun.sandbox.spec import Conditions

# A full second and a bit: many programs write times of that grain.
_CLOCK_STEP_S = 1.1
_SHOWN = 100
_MEMORY_SHARE = 8  # a change may take that part of the free memory
# An odd number, so that what goes by a pid's parity comes out otherwise.
OTHERWISE = Conditions(skipped_pids=301, cpu_count=1, uptime_offset_s=100_000)


def check_again(
    job: Job, first: Attempt, *, scratch: Path, started_s: float, layer_bytes: int
) -> None:
    """Run ``job`` again below ``scratch`` and compare with ``first``, which has ended.

    ``started_s`` is when that was started (monotonic), ``layer_bytes`` what came of it. Raises
    NotReproducibleError, after a line for each path that differs, and ScriptError if the steps fail
    this time.
    """
    scratch.mkdir()
    # A tmpfs tells the names in a directory in another order than a disk.
    fits = layer_bytes * _MEMORY_SHARE < _available_bytes()
    is_small = fits and job.request.sandbox.rootfs != COPY
    with attempt(job, scratch=scratch, conditions=OTHERWISE, prefers_tmpfs=is_small) as second:
        time.sleep(max(0.0, started_s + _CLOCK_STEP_S - time.monotonic()))
        log.info("check: running again, at another time, with other pids and one processor")
        second.run()
        found = list(
            differences(
                outcome_of(first.changes(DiffNotes())),
                outcome_of(second.changes(DiffNotes())),
                uppers=(first.rootfs.upper, second.rootfs.upper),
                is_in_base=lambda path: job.base.stack.find(path) is not None,
            )
        )
    _report(found)


def _available_bytes() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _report(found: list[Difference]) -> None:
    if not found:
        log.info("check: the same layer again")
        return
    for difference in found[:_SHOWN]:
        log.warning("check: %s", difference)
    if len(found) > _SHOWN:
        log.warning("check: and %d more", len(found) - _SHOWN)
    count = f"{len(found)} paths differ" if len(found) > 1 else "1 path differs"
    raise NotReproducibleError(
        f"check: the second run gives another layer: {count}",
        hint="what the script leaves must not depend on when and where it runs: REPRODUCIBILITY"
        " in rootrun(1)",
    )
