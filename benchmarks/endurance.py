"""``python -m benchmarks endurance``: many runs in a row, of which nothing may grow.

The runs are those of one account, warm, of ``true`` on a small base.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.bases import small_base
from benchmarks.contenders import ROOTRUN, Arena, temporary_arena
from benchmarks.timing import Run, median, unwind_at_signals
from benchmarks.verdict import HEADER, Row, ratio
from tests.support.users import processes_of

_WARM_UP = 20
_LEAST_RUNS = 20  # halves of fewer say nothing
_TOLD_EACH = 500
_MEMORY_GROWTH = 1.02  # two runs of the same differ by as much
_TO_BE_TRUSTED_S = 1.1  # rootrun hashes a base again that is younger than a second


# How much more of each may be there; other programs open files as well.
_GROWTH = {
    "cache_files": 0,
    "cache_bytes": 0,
    "scratch_files": 0,
    "processes": 0,
    "mounts": 0,
    "open_files": None,
}


class State(NamedTuple):
    """What of earlier runs is there after a run."""

    cache_files: int
    cache_bytes: int
    scratch_files: int
    processes: int
    mounts: int  # in the home of the account
    open_files: int  # of the whole machine


def main(argv: Sequence[str]) -> None:
    """Measure and print; the exit status is 1 if something grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks endurance", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="how many (default 1000)")
    runs = max(parser.parse_args(argv).runs, _LEAST_RUNS)
    unwind_at_signals()
    os.umask(0o022)
    with temporary_arena() as arena, arena.work_directory() as work:
        archive = arena.place_base(small_base(), "plain")
        time.sleep(_TO_BE_TRUSTED_S)
        for _ in range(_WARM_UP):
            _run(arena, archive, work)
        first = state_of(arena, work)
        taken = []
        for number in range(1, runs + 1):
            taken.append(_run(arena, archive, work))
            if number % _TOLD_EACH == 0:
                print(f"{number} of {runs} runs", file=sys.stderr)
        rows = list(compared(taken, first=first, last=state_of(arena, work)))
    print(HEADER.replace("subids", "before"))
    print(*(row.shown() for row in rows), sep="\n")
    grown = [row.name for row in rows if not row.is_met]
    if grown:
        sys.exit(f"bench: FAILED: grew in {runs} runs: {', '.join(grown)}")
    print(f"PASSED: nothing grew in {runs} runs")


def _run(arena: Arena, archive: Path, work: Path) -> Run:
    return arena.run(ROOTRUN, archive, packing="plain", script="true.sh", work=work).must_work()


def state_of(arena: Arena, work: Path) -> State:
    """Return what is there between two runs."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    cache = [path.lstat() for path in _paths(work / "cache")]
    return State(
        cache_files=len(cache),
        cache_bytes=sum(status.st_size for status in cache),
        scratch_files=sum(1 for _ in _paths(work / "cache" / "scratch")),
        processes=len(processes_of(arena.account)),
        mounts=mounts.count(f" {arena.account.home}/"),
        open_files=int(Path("/proc/sys/fs/file-nr").read_text(encoding="ascii").split()[0]),
    )


def compared(runs: Sequence[Run], *, first: State, last: State) -> Iterator[Row]:
    """Yield what became of each number; memory and time by the halves of ``runs``."""
    half = len(runs) // 2
    for name, values, unit, limit in (
        ("peak memory", [run.peak_bytes / (1 << 20) for run in runs], "MiB", _MEMORY_GROWTH),
        ("wall time", [run.wall_s for run in runs], "s", None),
    ):
        before, after = median(values[:half]), median(values[half:])
        yield ratio(
            f"{name}, later half to first", value=after, floor=before, unit=unit, limit=limit
        )
    for name, limit in _GROWTH.items():
        before, after = getattr(first, name), getattr(last, name)
        yield Row(
            name=f"more {name.replace('_', ' ')}",
            floor=str(before),
            value=after - before,
            unit="",
            limit=limit,
            digits=0,
        )


def _paths(directory: Path) -> Iterator[Path]:
    for parent, names, files in os.walk(directory):
        yield from (Path(parent, name) for name in (*names, *files))
