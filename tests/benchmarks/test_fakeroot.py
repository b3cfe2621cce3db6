"""The benchmark of the root emulation as a program: its table, and that nothing of it is left."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.public import PREFIX, public_parent

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.peers, pytest.mark.slow]

_CHECKOUT = Path(__file__).parent.parent.parent


def _start(*options: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "benchmarks", "fakeroot", "--quick", "--repeat", "1", *options]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(argv, cwd=_CHECKOUT, env=env, stdout=subprocess.PIPE, text=True)


def _assert_nothing_left(pid: int) -> None:
    mine = f"{PREFIX}{pid}"
    assert mine not in Path("/etc/passwd").read_text()
    assert mine not in Path("/etc/subuid").read_text()
    assert mine not in Path("/proc/self/mounts").read_text()
    assert not list(public_parent().glob(f"{mine}*"))


def test_measures_and_peers_are_shown_and_nothing_is_left() -> None:
    process = _start("--only", "find", "--only", "peers")
    table, _ = process.communicate(timeout=300)
    rows = re.findall(r"^find -ls of 6000 files, (\w+) .* s +(?:met|MISSED)$", table, re.MULTILINE)
    assert rows == ["record", "full"]
    wrong = dict(re.findall(r"^rootrun, (\w+) +[\d.]+ +[\d.]+ +(\d+ .*)$", table, re.MULTILINE))
    assert wrong["subids"].split() == wrong["full"].split() == ["0"] * 4
    assert process.returncode in (0, 1)  # a target is missed where the machine is busy
    _assert_nothing_left(process.pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_benchmarks_leave_nothing(number: signal.Signals) -> None:
    process = _start("--only", "find")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("measure")  # a run is under way
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == 128 + number
    _assert_nothing_left(process.pid)
