"""Runs of pytest that end before their tests do: nothing of their machines is left."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pytest_program import popen_pytest
from tests.support.users import Account, processes_of
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_WITHIN_S = 30.0
_IN_A_COMMAND = """
def test_it(rootrun_machine):
    machine = rootrun_machine("base.tar")
    machine.execute("sleep 602 >/dev/null 2>&1 &")
    open("begun", "w").close()
    machine.execute("sleep 600")
"""
_IN_AN_IMAGE = """
def test_it(rootrun_image):
    rootrun_image("base.tar", "touch /shared/begun; sleep 600", options=["--bind", ".:/shared"])
"""


def _wait_until(is_true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _WITHIN_S
    while not is_true() and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert is_true()


def _scratch(account: Account) -> list[str]:
    """Return what is left where machines and images are made."""
    return os.listdir(account.home / ".cache" / "rootrun" / "scratch")


@pytest.mark.parametrize("source", [_IN_A_COMMAND, _IN_AN_IMAGE], ids=["command", "image"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_pytest_leaves_nothing(
    number: signal.Signals, source: str, public_path: Path, tester: Account
) -> None:
    place = Workplace(path=tester.own(tester.new_directory()), account=tester)
    with popen_pytest(place, source) as running:
        _wait_until((place.path / "begun").exists)
        running.send_signal(number)
        said, _ = running.communicate(timeout=_WITHIN_S)
    if number == signal.SIGINT:
        assert running.returncode == pytest.ExitCode.INTERRUPTED, said
        assert "KeyboardInterrupt" in said
    _wait_until(lambda: processes_of(tester) == [])
    assert _scratch(tester) == []


@pytest.mark.slow
def test_killed_pytest_with_workers_leaves_nothing(tester: Account) -> None:
    place = Workplace(path=tester.own(tester.new_directory()), account=tester)
    with popen_pytest(place, _IN_A_COMMAND, "-n1") as running:
        _wait_until((place.path / "begun").exists)
        running.kill()
        # Workers of xdist wait some seconds before they give up what they are at.
        _wait_until(lambda: processes_of(tester) == [])
    assert _scratch(tester) == []
