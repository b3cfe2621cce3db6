"""Runs of programs with what they cost, taken in turns so that a busy moment hits all alike."""

import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from tests.support.program import _interpreter, clean_environment
from tests.support.users import Account

Result = TypeVar("Result")

LONGEST_RUN_S = 900
# A process counts as its own what it had before execve(2), in vfork(2) what its parent has. So it
# is started, and measured, by one that has little: a benchmark has more than some of what it runs.
_SMALL = """
import os, sys, time
report, *argv = sys.argv[1:]
os.set_inheritable(int(report), False)
start = time.perf_counter()
pid = os.posix_spawnp(argv[0], argv, os.environ, setsigdef=[13, 25])
_, status, usage = os.wait4(pid, 0)
wall_s = time.perf_counter() - start
cpu_s = usage.ru_utime + usage.ru_stime
said = f"{os.waitstatus_to_exitcode(status)} {wall_s} {cpu_s} {usage.ru_maxrss * 1024}"
os.write(int(report), said.encode())
"""
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a program printed and cost; ``cpu_s`` is its own time and that of its children."""

    status: int  # of its exit, or -N for signal N
    stdout: str
    stderr: str
    wall_s: float
    cpu_s: float
    peak_bytes: int  # of its largest process, but at least about 10 MB, those of _SMALL

    def must_work(self) -> "Run":
        """Return it; ends the benchmark with the last words of a program that failed."""
        if self.status:
            raise SystemExit(f"bench: status {self.status}: {last_line(self.stderr)}")
        return self


def timed(
    argv: Sequence[str | Path],
    *,
    account: Account,
    env: Mapping[str, str] | None = None,
    longest_s: float = LONGEST_RUN_S,
) -> Run:
    """Run ``argv`` as ``account``, in its home; after ``longest_s`` its session is killed."""
    with (
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
        tempfile.TemporaryFile() as report,
    ):
        small: list[str | Path] = [_interpreter(), "-I", "-S", "-c", _SMALL, str(report.fileno())]
        process = subprocess.Popen(
            [os.fspath(arg) for arg in (*small, *argv)],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            env=clean_environment(account) | dict(env or {}),
            cwd=account.home,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            pass_fds=[report.fileno()],
        )
        _wait(process, longest_s=longest_s)
        said = _content(report.fileno()).split()
        # Nothing is said by one that was killed, or had no such program to start.
        status, wall_s, cpu_s, peak_bytes = said or (process.returncode, longest_s, 0, 0)
        return Run(
            status=int(status),
            stdout=_content(stdout.fileno()),
            stderr=_content(stderr.fileno()),
            wall_s=float(wall_s),
            cpu_s=float(cpu_s),
            peak_bytes=int(peak_bytes),
        )


def unwind_at_signals() -> None:
    """End by ``SystemExit`` at a signal, so that accounts and files are removed."""
    for number in _ENDS:
        signal.signal(number, _unwind)


def _unwind(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 # signal's interface
    for again in _ENDS:
        signal.signal(again, signal.SIG_IGN)  # the cleaning up is not interrupted
    sys.exit(128 + number)


def in_turns(jobs: Mapping[str, Callable[[], Result]], *, repeat: int) -> dict[str, list[Result]]:
    """Run each job ``repeat`` times, one after the other, and return what each gave."""
    results: dict[str, list[Result]] = {name: [] for name in jobs}
    for _ in range(repeat):
        for name, job in jobs.items():
            results[name].append(job())
    return results


def median(values: Sequence[float]) -> float:
    """Return the median, of one value too."""
    return statistics.median(values)


def last_line(text: str) -> str:
    """Return the last line of ``text`` that says something."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no word"


def _wait(process: subprocess.Popen[bytes], *, longest_s: float) -> None:
    """Wait for the end, at the latest for that of ``longest_s``."""
    descriptor = os.pidfd_open(process.pid)
    try:
        if not select.select([descriptor], [], [], longest_s)[0]:
            _kill_session(process.pid)
        process.wait()
    except BaseException:
        _kill_session(process.pid)
        raise
    finally:
        os.close(descriptor)


def _kill_session(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _content(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, encoding="utf-8", errors="replace", closefd=False) as reader:
        return reader.read()
