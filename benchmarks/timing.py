"""Runs of programs with what they cost, taken in turns so that a busy moment hits all alike."""

import os
import select
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.support.program import clean_environment
from tests.support.users import Account

Result = TypeVar("Result")

LONGEST_RUN_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a program printed and cost; ``cpu_s`` is its own time and that of its children."""

    status: int  # of its exit, or -N for signal N
    stdout: str
    stderr: str
    wall_s: float
    cpu_s: float

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
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            [os.fspath(arg) for arg in argv],
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            env=clean_environment(account) | dict(env or {}),
            cwd=account.home,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        cpu_s = _wait(process, longest_s=longest_s)
        return Run(
            status=process.returncode,
            stdout=_content(stdout.fileno()),
            stderr=_content(stderr.fileno()),
            wall_s=time.perf_counter() - start,
            cpu_s=cpu_s,
        )


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


def _wait(process: subprocess.Popen[bytes], *, longest_s: float) -> float:
    """Wait for the end, at the latest for that of ``longest_s``; return seconds of CPU."""
    descriptor = os.pidfd_open(process.pid)
    try:
        if not select.select([descriptor], [], [], longest_s)[0]:
            _kill_session(process.pid)
        # Not Popen.wait: it does not tell what the program and its children used.
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        _kill_session(process.pid)
        raise
    finally:
        os.close(descriptor)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def _kill_session(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _content(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, encoding="utf-8", errors="replace", closefd=False) as reader:
        return reader.read()
