"""Runs that are killed, and asked to stop, at random moments: nothing is left, nothing is wrong.

The victim of a kill is any process of the run: main process, monitor, init, the one that copies the
base, a helper, or the script.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from rootrun.errors import EXIT_SIGNAL_BASE
from tests.support.users import processes_of
from tests.torture.ground import GONE_WITHIN_S, HANGS_AFTER_S, Ground

Process = subprocess.Popen[bytes]
Disturb = Callable[[Ground, Process, random.Random], list[str]]

SCRIPT = ("sh", "-ec", "(setsid sleep 1000 &); mkdir /made; sleep 0.1")
"""A command that leaves a daemon, and lasts long enough to be hit."""

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_STOPS_WITHIN_S = 10.0
_ENDS_WITHIN_S = 30.0
_COLD_SHARE = 0.3
_VERIFIED_EACH = 20


def wrongs_of_kills(ground: Ground, *, seed: int, count: int) -> Iterator[list[str]]:
    """Kill a process of each of ``count`` runs; yield what is wrong after each."""
    yield from _disturbed_runs(ground, _kill_one, seed=seed, count=count)


def wrongs_of_stops(ground: Ground, *, seed: int, count: int) -> Iterator[list[str]]:
    """Ask each of ``count`` runs to stop: once, twice, its whole group; yield what is wrong."""
    yield from _disturbed_runs(ground, _ask_to_stop, seed=seed, count=count)


def _disturbed_runs(
    ground: Ground, disturb: Disturb, *, seed: int, count: int
) -> Iterator[list[str]]:
    chooser = random.Random(seed)
    durations_s = {is_cold: _duration_s(ground, is_cold=is_cold) for is_cold in (True, False)}
    for number in range(count):
        is_cold = chooser.random() < _COLD_SHARE
        if is_cold:
            ground.make_cold()
        moment_s = chooser.uniform(0, durations_s[is_cold])
        with ground.start() as process:
            _wait_for_handlers(process)
            time.sleep(moment_s)
            wrongs = disturb(ground, process, chooser)
        wrongs += [*ground.wrongs_left(), *ground.wrongs_of_next_run()]
        if number % _VERIFIED_EACH == 0 or number == count - 1:
            wrongs += ground.wrongs_of_cache()
        yield [f"after {moment_s:.3f} s: {wrong}" for wrong in wrongs]


def _kill_one(ground: Ground, process: Process, chooser: random.Random) -> list[str]:
    """Kill one process of the run."""
    victim = chooser.choice([process.pid, *processes_of(ground.account)])
    called = _name_of(victim)
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    # A process of the script may be missed by nobody: then the run goes on to its end.
    within_s = GONE_WITHIN_S if victim == process.pid else _ENDS_WITHIN_S
    status, errors = _end_of(process, within_s=within_s)
    if status is None:
        return [f"still there {within_s:.0f} s after the kill of {called}"]
    if victim == process.pid and status == -signal.SIGKILL:
        return ground.wrongs_of_output() if ground.output.exists() else []
    # The script, or a process of it, may have been the victim.
    return ground.wrongs_of_end(status, errors, others=(EXIT_SIGNAL_BASE + signal.SIGKILL,))


def _ask_to_stop(ground: Ground, process: Process, chooser: random.Random) -> list[str]:
    """Send one signal, or two, to the main process or its whole group."""
    numbers = chooser.choices(_ASKING, k=chooser.choice((1, 1, 2)))
    send = chooser.choice((os.kill, os.killpg))
    for number in numbers:
        with suppress(ProcessLookupError):
            send(process.pid, number)
        time.sleep(chooser.choice((0, 0.001, 0.02)))
    status, errors = _end_of(process, within_s=_STOPS_WITHIN_S)
    if status is None:
        return [f"still there after {numbers}"]
    # When all is done the default is to die of them.
    others = [EXIT_SIGNAL_BASE + number for number in numbers] + [-number for number in numbers]
    wrongs = ground.wrongs_of_end(status, errors, others=tuple(others))
    if left := os.listdir(ground.scratch):
        wrongs.append(f"scratch is left after {numbers}: {left}: {errors}")
    return wrongs


def _name_of(pid: int) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return "a process that has ended"


def _wait_for_handlers(process: Process) -> None:
    """Wait until signals are rootrun's to answer, and no longer the interpreter's."""
    caught = 0
    while process.poll() is None and not caught >> (signal.SIGTERM - 1) & 1:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(status.partition("\nSigCgt:")[2].split(maxsplit=1)[0], 16)


def _end_of(process: Process, *, within_s: float) -> tuple[int | None, str]:
    """Return the status and the messages of the run; None if it does not end."""
    try:
        _, errors = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return None, ""
    return process.returncode, errors.decode()


def _duration_s(ground: Ground, *, is_cold: bool) -> float:
    if is_cold:
        ground.make_cold()
    started_s = time.monotonic()
    with ground.start() as process:
        process.communicate(timeout=HANGS_AFTER_S)
    ground.output.unlink()
    return time.monotonic() - started_s
