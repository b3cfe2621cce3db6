"""``make bench``: medians of interleaved runs, as differences and ratios to a floor.

Each table row is measured in this one process run, on this one machine; only
the ratios mean something elsewhere.
"""

import argparse
import compileall
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
from benchmarks.bases import base_layer, write_docker_archive, write_oci_layout

_MIB = 1 << 20


def main() -> None:
    """Measure and print, or leave that to another subject."""
    if sys.argv[1:2] == ["fakeroot"]:
        from benchmarks import fakeroot

        fakeroot.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="runs of each row (default 15)")
    parser.epilog = (
        "python -m benchmarks fakeroot measures the root emulation; it has its own --help"
    )
    options = parser.parse_args()
    program = Path(sys.executable).with_name("rootrun")
    directory = Path(tempfile.mkdtemp(prefix="rootrun-bench-", dir=os.environ.get("TMPDIR")))
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
    _memory(program, directory)


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
    base = write_docker_archive(directory / "160.tar", base_layer(160))
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
    _print("copy of a 160 MiB base, synced", copy, f"{160 / copy:.0f} MiB/s")
    _print("warm run of true on it", warm, f"{_ms(above)} above floor and copy (target 120)")


def _sizes(program: Path, directory: Path, *, rounds: int) -> None:
    jobs = []
    for megabytes in (2, 700):
        base = write_oci_layout(directory / f"oci-{megabytes}", base_layer(megabytes))
        job = _job(program, directory, base, output=f"oci:{directory}/out-{megabytes}")
        job()
        time.sleep(1.1)
        job()
        jobs.append(job)
    small, large = _medians(jobs, rounds=rounds)
    _print("warm run to oci:, base of 2 MiB", small, "1.00")
    _print("warm run to oci:, base of 700 MiB", large, f"{large / small:.2f} (target 1.5)")


def _memory(program: Path, directory: Path) -> None:
    for name in ("oci-2", "oci-700"):
        peak_kib = _peak_kib(
            _argv(program, directory / name, output="-", cache=directory / f"cold-{name}")
        )
        print(f"{f'peak memory, cold, {name}':44} {peak_kib / 1024:8.1f} MiB   (target 100)")


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


def _peak_kib(argv: Sequence[str | Path]) -> int:
    """Return the largest resident set of any process of the run (getrusage(2))."""
    source = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", source, *argv], capture_output=True, check=True
    )
    return int(done.stdout)


def _print(name: str, seconds: float, remark: str) -> None:
    print(f"{name:44} {seconds * 1000:8.1f} ms    {remark}")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


main()
