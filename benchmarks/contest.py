"""``make bench``: rootrun beside its peers and the floor by hand, from archive to archive.

Each run is one of an account with subordinate ids; contenders take turns, and medians are shown.
Cold, what a contender keeps between runs is empty, the page cache is not. rootrun and the floor
sync what they wrote, the peers do not.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.bases import docker_archive_of
from benchmarks.cases import ALL_CASES, WORKLOADS, Case, base_of, chosen_cases
from benchmarks.contenders import (
    CONTENDERS,
    Arena,
    Contender,
    fault,
    temporary_arena,
)
from benchmarks.table import Cell, Line, shown
from benchmarks.timing import Run, in_turns, median, unwind_at_signals

_TO_BE_TRUSTED_S = 1.1  # rootrun hashes a base again that is younger than a second


def main(argv: Sequence[str]) -> None:
    """Measure and print."""
    options = _parse(argv)
    if options.list:
        print(*(case.name for case in ALL_CASES), sep="\n")
        return
    cases = chosen_cases(options.row or ())
    contenders = [one for one in CONTENDERS if not options.only or one.name in options.only]
    unwind_at_signals()
    os.umask(0o022)
    for case in cases:  # before anything is timed
        docker_archive_of(base_of(case), case.packing)
    lines = []
    with temporary_arena() as arena:
        for case in cases:
            lines.append(Line(case, _measure(arena, case, contenders, repeat=options.repeat)))
            print(lines[-1].progress(), file=sys.stderr, flush=True)
    print(shown(lines, contenders, repeat=options.repeat, as_markdown=options.markdown))


def _parse(argv: Sequence[str]) -> "_Options":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--row", action="append", metavar="PATTERN", help="rows; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the names of all rows")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each kind (default 5)")
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument("--only", choices=names, action="append", help="may be repeated")
    parser.add_argument("--markdown", action="store_true", help="print the table for the README")
    parser.epilog = (
        "python -m benchmarks start, fakeroot and endurance measure other things; each has --help"
    )
    return parser.parse_args(argv, _Options())


class _Options(argparse.Namespace):
    row: list[str] | None
    list: bool
    repeat: int
    only: Sequence[str] | None
    markdown: bool


class _Tried(NamedTuple):
    run: Run | None  # None: not made, after one that failed
    why_not: str


def _measure(
    arena: Arena, case: Case, contenders: Sequence[Contender], *, repeat: int
) -> Mapping[str, Cell]:
    """Measure one row; a contender that fails once is not asked again."""
    archive = arena.place_base(base_of(case), case.packing)
    cells: dict[str, Cell] = {}
    with ExitStack() as cleanup:
        jobs: dict[str, Callable[[], _Tried]] = {}
        for contender in contenders:
            why_not = contender.why_not()
            if case.is_warm and not contender.keeps:
                why_not = "keeps nothing for a warm run"
            if why_not:
                cells[contender.name] = Cell(why_not=why_not)
                continue
            attempts = _Attempts(arena, contender, case, archive)
            if case.is_warm:
                attempts.warm_up(cleanup.enter_context(arena.work_directory()))
            jobs[contender.name] = attempts.make
        for name, tried in in_turns(jobs, repeat=repeat).items():
            cells[name] = _cell(tried)
    return {one.name: cells[one.name] for one in contenders}


class _Attempts:
    """The runs of one contender at one case."""

    def __init__(self, arena: Arena, contender: Contender, case: Case, archive: Path) -> None:
        self._arena = arena
        self._makes = WORKLOADS[case.workload].makes
        self._run = partial(
            arena.run,
            contender,
            archive,
            packing=case.packing,
            script=WORKLOADS[case.workload].script,
        )
        self._work: Path | None = None  # None: a fresh one each time
        self._why_not = ""

    def warm_up(self, work: Path) -> None:
        """Run once, uncounted, in ``work``, where the others will run."""
        time.sleep(_TO_BE_TRUSTED_S)
        self._work = work
        self.make()

    def make(self) -> _Tried:
        """Run once; what is not timed is around it."""
        if self._why_not:
            return _Tried(None, self._why_not)
        if self._work is not None:
            run = self._run(work=self._work)
        else:
            with self._arena.work_directory() as work:
                run = self._run(work=work)
        self._why_not = fault(run, self._arena.output, makes=self._makes)
        self._arena.output.unlink(missing_ok=True)
        return _Tried(run, self._why_not)


def _cell(tried: Sequence[_Tried]) -> Cell:
    why_not = next((one.why_not for one in tried if one.why_not), "")
    if why_not:
        return Cell(why_not=why_not)
    runs = [one.run for one in tried if one.run is not None]
    return Cell(
        wall_s=median([run.wall_s for run in runs]),
        cpu_s=median([run.cpu_s for run in runs]),
        peak_bytes=max(run.peak_bytes for run in runs),
    )
