"""``python -m benchmarks start``: what parts of a run cost, beside the least that they could.

The runs are those of the caller, interleaved; medians are shown, as differences and ratios.
"""

import argparse
import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import rootrun
from benchmarks.bases import Base, debian_base, docker_archive_of, large_base, small_base

_PACKED_FILES = 7_500
_PACKED_FILE_BYTES = 32 << 10


def main(argv: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="runs of each row (default 15)")
    options = parser.parse_args(argv)
    program = Path(sys.executable).with_name("rootrun")
    directory = Path(tempfile.mkdtemp(prefix="bench-rootrun-", dir=os.environ.get("TMPDIR")))
    try:
        _report(program, directory, rounds=options.rounds)
    finally:
        shutil.rmtree(directory)


def _report(program: Path, directory: Path, *, rounds: int) -> None:
    # As pip does at an installation; PYTHONDONTWRITEBYTECODE would have each start compile all.
    compileall.compile_dir(Path(rootrun.__file__).parent, quiet=2)
    _start(program, rounds=rounds)
    _warm_run(program, directory, rounds=rounds)
    _sizes(program, directory, rounds=rounds)
    _pack(program, directory, rounds=rounds)


def _start(program: Path, *, rounds: int) -> None:
    floor, version = _medians(
        [
            lambda: _run([sys.executable, "-I", "-c", "pass"]),
            lambda: _run([program, "--version"]),
        ],
        rounds=rounds,
    )
    _print("python3 -I -c pass", floor, "floor")
    _print("rootrun --version", version, f"{_ms(version - floor)} above the floor (target 25)")


def _warm_run(program: Path, directory: Path, *, rounds: int) -> None:
    base = Path(shutil.copy(docker_archive_of(debian_base(), "plain"), directory / "base.tar"))
    job = _job(program, directory, base, output=str(directory / "out.tar"))
    job()
    time.sleep(1.1)  # a base younger than a second is hashed again
    job()
    floor, copy, warm = _medians(
        [
            lambda: _run([sys.executable, "-I", "-c", "pass"]),
            lambda: _copy(base, directory / "copy.tar"),
            job,
        ],
        rounds=rounds,
    )
    above = warm - floor - copy
    mib = base.stat().st_size / (1 << 20)
    _print(f"copy of a base of {mib:.0f} MiB, synced", copy, f"{mib / copy:.0f} MiB/s")
    _print("warm run of true on it", warm, f"{_ms(above)} above floor and copy (target 120)")


def _sizes(program: Path, directory: Path, *, rounds: int) -> None:
    jobs = []
    for base in (small_base(), large_base()):
        layout = _layout(program, directory, base)
        job = _job(program, directory, layout, output=f"oci:{directory}/out-{base.name}")
        job()
        time.sleep(1.1)
        job()
        jobs.append(job)
    small, large = _medians(jobs, rounds=rounds)
    _print("warm run to oci:, base of 2 MB", small, "1.00")
    _print("warm run to oci:, base of 850 MB", large, f"{large / small:.2f} (target 1.5)")


def _layout(program: Path, directory: Path, base: Base) -> Path:
    """Return a layout with the layers of ``base`` and an empty one."""
    layout = directory / f"layout-{base.name}"
    archive = docker_archive_of(base, "plain")
    _run(_argv(program, archive, output=f"oci:{layout}", cache=directory / "cache"))
    return layout


def _pack(program: Path, directory: Path, *, rounds: int) -> None:
    """Compare the stage of ``--timings`` that packs a layer with what tar and sha256sum take."""
    tree = directory / "tree"
    _write_tree(tree)
    argv: list[str | Path] = [
        *(program, "-q", "--no-cache", "--copy", tree, "-o", directory / "packed.tar"),
        *("--json", "--timings", "--", "/busybox", "true"),
    ]
    by_hand = 'exec 3>"$2"; tar -C "$1" -cf - . | tee /dev/fd/3 | sha256sum'
    stages_s: list[float] = []

    def pack() -> None:
        told = subprocess.run(argv, capture_output=True, check=True).stdout
        stages_s.append(json.loads(told)["timings"]["stages"]["pack"])

    floor, _ = _medians(
        [lambda: _run(["sh", "-c", by_hand, "sh", tree, directory / "hand.tar"]), pack],
        rounds=rounds,
    )
    taken = statistics.median(stages_s)
    _print("tar of 245 MB | tee | sha256sum", floor, "floor")
    _print("pack of the same as a layer", taken, f"{taken / floor:.2f} (target 1.0)")


def _write_tree(tree: Path) -> None:
    for number in range(_PACKED_FILES):
        parent = tree / str(number // 100)
        parent.mkdir(parents=True, exist_ok=True)
        (parent / str(number)).write_bytes(os.urandom(_PACKED_FILE_BYTES))
    shutil.copy(shutil.which("busybox") or "busybox", tree)


def _job(program: Path, directory: Path, base: Path, *, output: str) -> Callable[[], None]:
    argv = _argv(program, base, output=output, cache=directory / "cache")

    def job() -> None:
        if output.startswith("oci:"):
            shutil.rmtree(output.removeprefix("oci:"), ignore_errors=True)
        _run(argv)

    return job


def _argv(program: Path, base: Path, *, output: str, cache: Path) -> list[str | Path]:
    return [program, "-q", "--from", base, "--cache-dir", cache, "-o", output, "--", "true"]


def _run(argv: Sequence[str | Path]) -> None:
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)


def _copy(source: Path, target: Path) -> None:
    with open(source, "rb") as reader, open(target, "wb") as writer:
        left = os.fstat(reader.fileno()).st_size
        while left:
            left -= os.copy_file_range(reader.fileno(), writer.fileno(), left)
        os.fsync(writer.fileno())  # as rootrun does with its output


def _medians(jobs: Sequence[Callable[[], None]], *, rounds: int) -> list[float]:
    """Return the median wall time of each job in seconds; the jobs take turns."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for job, taken in zip(jobs, times, strict=True):
            start = time.perf_counter()
            job()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def _print(name: str, seconds: float, remark: str) -> None:
    print(f"{name:44} {seconds * 1000:8.1f} ms    {remark}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
