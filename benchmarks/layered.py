"""``python -m benchmarks layered``: images of the paths of a store, beside the least it takes.

The floor is a loop in which two processes read, hash and write each byte once.
"""

import argparse
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.contenders import Arena, temporary_arena
from benchmarks.timing import Run, in_turns, median, timed, unwind_at_signals
from benchmarks.verdict import HEADER, Row, ratio
from tests.support.program import _interpreter, installation

_FLOOR = Path(__file__).parent / "scripts" / "read_hash_write.py"
_PATHS = 300
_MANY_PATHS = 3000
_FILES = 4  # of a path
_SMALL_BYTES = 4096  # of a small path
_MEMORY_MIB = 150
_SLOWER_THAN_FLOOR = 1.3
_SLOWER_THAN_FEW = 12
_PROCESSES = 2


def main(argv: Sequence[str]) -> None:
    """Measure and print; the exit status is 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks layered", description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="of the large closure (1024)")
    parser.add_argument("--repeat", type=int, default=7, help="runs of each (default 7)")
    options = parser.parse_args(argv)
    unwind_at_signals()
    os.umask(0o022)
    with temporary_arena() as arena, arena.work_directory() as work:
        rows = list(_rows(arena, work, large_bytes=options.mib << 20, repeat=options.repeat))
    print(HEADER.replace("subids", "floor"))
    print(*(row.shown() for row in rows), sep="\n")
    missed = [row.name for row in rows if not row.is_met]
    if missed:
        sys.exit(f"bench: FAILED: {', '.join(missed)}")
    print("PASSED")


def _rows(arena: Arena, work: Path, *, large_bytes: int, repeat: int) -> Iterator[Row]:
    large, few, many = work / "large", work / "few", work / "many"
    make_closure(large, count=_PATHS, total_bytes=large_bytes)
    make_closure(few, count=_PATHS, total_bytes=_PATHS * _SMALL_BYTES)
    make_closure(many, count=_MANY_PATHS, total_bytes=_MANY_PATHS * _SMALL_BYTES)
    output = work / "out.tar"
    run = partial(_layered, arena, output=output)
    jobs = {
        "floor": partial(_floor, arena, large, output),
        "file": partial(run, large, "--no-cache"),
        "stream": partial(run, large, "--no-cache", to_stdout=True),
        "again": partial(run, large, "--cache-dir", work / "cache"),
        "few": partial(run, few, "--no-cache"),
        "many": partial(run, many, "--no-cache"),
    }
    jobs["again"]()  # the cache is filled
    taken = in_turns(jobs, repeat=repeat)
    wall_s = {name: median([one.wall_s for one in runs]) for name, runs in taken.items()}
    for name, called, limit in (
        ("file", "to a file", _SLOWER_THAN_FLOOR),
        ("stream", "to a pipe", None),
        ("again", "to a file, of layers that are known", None),
    ):
        yield ratio(called, value=wall_s[name], floor=wall_s["floor"], unit="s", limit=limit)
    for name, called in (("file", "memory, to a file"), ("stream", "memory, to a pipe")):
        peak = max(one.peak_bytes for one in taken[name]) / (1 << 20)
        yield Row(name=called, floor="", value=peak, unit="MiB", limit=_MEMORY_MIB, digits=0)
    yield ratio(
        f"{_MANY_PATHS} paths, as many times {_PATHS}",
        value=wall_s["many"],
        floor=wall_s["few"],
        unit="s",
        limit=_SLOWER_THAN_FEW,
    )


def make_closure(directory: Path, *, count: int, total_bytes: int) -> None:
    """Make ``store`` and ``closure.json`` in the new ``directory``: paths, a few of them large.

    Each refers to some of those before it. The content is the same each time.
    """
    chance = random.Random(count)
    store = directory / "store"
    store.mkdir(parents=True)
    weights = [chance.paretovariate(1.2) for _ in range(count)]
    graph: dict[str, list[str]] = {}
    for number, weight in enumerate(weights):
        path = store / f"{number:032d}-path-{number}"
        path.mkdir()
        size_bytes = int(total_bytes * weight / sum(weights) / _FILES)
        for file in range(_FILES):
            (path / f"file-{file}").write_bytes(chance.randbytes(size_bytes))
        (path / "link").symlink_to("file-0")
        before = [*graph]
        graph[os.fspath(path)] = chance.sample(before, min(len(before), 3))
    (directory / "closure.json").write_text(json.dumps(graph))


def _layered(
    arena: Arena, closure: Path, *options: str | Path, output: Path, to_stdout: bool = False
) -> Run:
    output.unlink(missing_ok=True)
    argv: list[str | Path] = [
        *(installation() / "bin" / "rootrun", "layered", "-q", "--name", "x"),
        *("--closure", closure / "closure.json", "--store-dir", closure / "store", *options),
    ]
    if not to_stdout:
        return timed([*argv, "-o", output], account=arena.account).must_work()
    command: list[str | Path] = ["/bin/sh", "-c", '"$@" | cat > "$0"', output, *argv, "-o", "-"]
    return timed(command, account=arena.account).must_work()


def _floor(arena: Arena, closure: Path, output: Path) -> Run:
    output.unlink(missing_ok=True)
    floor = Path(shutil.copy(_FLOOR, arena.public))
    argv: list[str | Path] = [
        _interpreter(),
        "-I",
        "-S",
        floor,
        closure / "store",
        output,
        str(_PROCESSES),
    ]
    return timed(argv, account=arena.account).must_work()
