"""What the root emulation costs beside real ids, which the same script has in the same run."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.place import MODES, Place
from benchmarks.timing import Run, in_turns, median
from benchmarks.verdict import Row, extra, ratio

_TOOK = re.compile(r"^took (\S+) (\d+)$", re.MULTILINE)
_PACKAGES_LIMIT = {"record": 1.10, "full": 1.25}
_CHOWN_LIMIT_US = 60.0
_FIND_LIMIT_S = 5.0
_CALL_LIMIT = 1.05  # as good as nothing: two runs of the same differ by as much
_NOT_EMULATED = ("getppid", "read", "write", "dup", "access")
_LEVELS = ("record", "full")
_ANY_FILTER = "smallest filter"

Jobs = dict[str, Callable[[], Run]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    repeat: int
    packages: Sequence[str]
    files: int
    rounds: int  # of each call


def packages(place: Place, size: Size) -> Iterator[Row]:
    """Measure the installation of packages, as a whole run."""
    wanted = f"PACKAGES={' '.join(size.packages)}"
    results = in_turns(_jobs(place, "packages.sh", "--env", wanted), repeat=size.repeat)
    for level in _LEVELS:
        for name, cost, limit in (
            ("wall", _wall, _PACKAGES_LIMIT[level]),
            ("CPU", _cpu, None),
        ):
            yield ratio(
                f"apt-get install, {level}, {name}",
                value=median([cost(run) for run in results[level]]),
                floor=median([cost(run) for run in results["subids"]]),
                unit="s",
                limit=limit,
            )


def chown(place: Place, size: Size) -> Iterator[Row]:
    """Measure chown -R, each file of which is looked at and given away."""
    results = in_turns(
        _jobs(place, "chown.sh", "--env", f"FILES={size.files}", base="files"), repeat=size.repeat
    )
    for level in _LEVELS:
        for what in ("new", "base"):
            yield extra(
                f"chown -R of {size.files} {what} files, {level}",
                value=_median_ns(results[level], what) / 1000 / size.files,
                floor=_median_ns(results["subids"], what) / 1000 / size.files,
                unit="us each",
                limit=_CHOWN_LIMIT_US,
            )


def find(place: Place, size: Size) -> Iterator[Row]:
    """Measure find, which looks at each file."""
    results = in_turns(_jobs(place, "find.sh", base="files"), repeat=size.repeat)
    files = size.files + size.files // 5
    for level in _LEVELS:
        for what, name in (("ls", f"find -ls of {files} files"), ("printf", "find / -printf %u")):
            yield extra(
                f"{name}, {level}",
                value=_median_ns(results[level], what) / 1e9,
                floor=_median_ns(results["subids"], what) / 1e9,
                unit="s",
                limit=_FIND_LIMIT_S if what == "ls" else None,
            )


def calls(place: Place, size: Size) -> Iterator[Row]:
    """Measure calls that are not emulated, and open(2), which is so in some cases only."""
    compiler = shutil.which("gcc")
    if compiler is None:
        print("calls are not measured: gcc is not installed")
        return
    source, program = place.scripts / "calls.c", place.scripts / "calls"
    subprocess.run([compiler, "-O2", "-static", source, "-o", program], check=True)
    (place.scripts / "calls.sh").write_text(f"/scripts/calls {size.rounds}\n")
    (place.scripts / "filtered.sh").write_text(f"/scripts/calls {size.rounds} filtered\n")
    filtered = {_ANY_FILTER: partial(place.run, "subids", "filtered.sh")}
    results = in_turns(_jobs(place, "calls.sh") | filtered, repeat=size.repeat)
    for name in (_ANY_FILTER, *_LEVELS):
        for call in (*_NOT_EMULATED, "open"):
            asked = name in _LEVELS and call in _NOT_EMULATED
            yield ratio(
                f"{call}(2), {name}",
                value=_median_ns(results[name], call) / size.rounds,
                floor=_median_ns(results["subids"], call) / size.rounds,
                unit="ns",
                limit=_CALL_LIMIT if asked else None,
            )


MEASURES: Mapping[str, Callable[[Place, Size], Iterator[Row]]] = {
    "packages": packages,
    "chown": chown,
    "find": find,
    "calls": calls,
}


def _jobs(place: Place, script: str, *options: str, base: str = "debian") -> Jobs:
    return {mode: partial(place.run, mode, script, *options, base=base) for mode in MODES}


def _median_ns(runs: Sequence[Run], what: str) -> float:
    return median([took_ns(run.stderr)[what] for run in runs])


def took_ns(said: str) -> dict[str, int]:
    """Return what a script said that it took: lines of ``took WHAT NANOSECONDS``."""
    return {what: int(ns) for what, ns in _TOOK.findall(said)}


def _wall(run: Run) -> float:
    return run.wall_s


def _cpu(run: Run) -> float:
    return run.cpu_s
