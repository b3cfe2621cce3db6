"""``python -m benchmarks side-by-side``: warm runs at one time, on one cache.

Each takes processor time of its own and waits for no other, so that twice as many at a time are
done in the same time, as far as there are processors.
"""

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.bases import small_base
from benchmarks.contenders import Arena, temporary_arena
from benchmarks.timing import in_turns, timed, unwind_at_signals
from benchmarks.verdict import Row
from tests.support.program import installation

_SIDES = (1, 2, 4, 8)
_TO_BE_TRUSTED_S = 1.1  # rootrun hashes a base again that is younger than a second


def main(argv: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks side-by-side", description=__doc__)
    parser.add_argument("--runs", type=int, default=40, help="of each number (default 40)")
    parser.add_argument("--repeat", type=int, default=5, help="the best of so many (default 5)")
    options = parser.parse_args(argv)
    unwind_at_signals()
    os.umask(0o022)
    with temporary_arena() as arena, arena.work_directory() as work:
        archive = arena.place_base(small_base(), "plain")
        time.sleep(_TO_BE_TRUSTED_S)
        _rate(arena, archive, work, count=1, runs=2)  # the cache is filled
        taken = in_turns(
            {
                str(count): partial(_rate, arena, archive, work, count=count, runs=options.runs)
                for count in _SIDES
            },
            repeat=options.repeat,
        )
    rates = [max(taken[str(count)]) for count in _SIDES]
    print(f"{len(os.sched_getaffinity(0))} processors, {options.runs} runs")
    print(*(row.shown() for row in compared(rates)), sep="\n")


def compared(rates: Sequence[float]) -> list[Row]:
    """Return the runs per second of each number at one time, as multiples of the first one's."""
    return [
        Row(
            name=f"{count} at one time, as many as one by one",
            floor=f"{rate:.1f} /s",
            value=rate / rates[0],
            unit="x",
        )
        for count, rate in zip(_SIDES, rates, strict=True)
    ]


def _rate(arena: Arena, archive: Path, work: Path, *, count: int, runs: int) -> float:
    """Return how many runs are done in a second, ``count`` at one time, ``runs`` in all."""
    program = installation() / "bin" / "rootrun"

    def run(number: int) -> None:
        argv: list[str | Path] = [program, "-q", "--from", archive, "--cache-dir", work / "cache"]
        output = work / f"out-{number}.tar"
        timed([*argv, "-o", output, "--", "true"], account=arena.account).must_work()
        output.unlink()

    started_s = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(run, range(runs)))  # raises what one of them raised
    return runs / (time.perf_counter() - started_s)
