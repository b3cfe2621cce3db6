"""How ``rootrun test`` ends by signals and in time, and what is left then: nothing."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.test_ending import STOP_LIMIT_S, STOPPING, assert_gone, members_of, start
from tests.support.removers import becomes_empty
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_SCRIPT = """
# /// script
# [tool.rootrun.machines]
# one = "base.tar"
# two = "base.tar"
# ///
start_all()
one.start("trap '' TERM; while true; do sleep 1; done")
two.execute("mkdir -p /a/b; chmod 0 /a/b /a; (setsid sleep 1000 >/dev/null 2>&1 &)")
print("ready")
try:
    two.succeed("trap '' TERM; sleep 1000")
except Exception:
    print("the test goes on")
"""


@contextmanager
def _running(place: Workplace, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a test with two machines, and wait until it says ``ready``; kill it at the end."""
    place.base()
    place.write("check.py", _SCRIPT)
    scratch = place.path / "scratch"
    scratch.mkdir()
    place.own(scratch)
    process = start(place, "test", "check.py", "--tmpdir", "scratch", *options, stdin=None)
    try:
        assert process.stderr is not None
        while b"ready" not in (line := process.stderr.readline()):
            assert line, "the test ended before its script was ready"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_ends_the_test_and_its_machines(
    number: signal.Signals, workplace: Workplace
) -> None:
    with _running(workplace) as process:
        family = members_of(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=STOP_LIMIT_S)
        assert process.returncode == 128 + number
        assert b"the test goes on" not in errors
        assert b'File "check.py", line 1' in errors
        assert b"Error" not in errors
        assert_gone(family)
        assert list((workplace.path / "scratch").iterdir()) == []


def test_an_interrupt_at_the_prompt_ends_the_command_alone(lone_workplace: Workplace) -> None:
    lone_workplace.base()
    lone_workplace.write("check.py", "")
    arguments = ("test", "check.py", "--from", "base.tar", "--interactive")
    with start(lone_workplace, *arguments, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"machine.succeed('sleep 1000')\n")
        process.stdin.flush()
        while b"succeed: sleep 1000" not in (line := process.stderr.readline()):
            assert line, "the prompt ended"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(
            b"machine.wait_until_fails('ps | grep [1]000')\nmachine.wait_for_unit('x')\nexit(5)\n",
            timeout=STOP_LIMIT_S,
        )
    assert process.returncode == 5
    assert b"KeyboardInterrupt" in errors
    assert b"hint: there is no systemd" in errors
    assert b"rootrun/testing" not in errors


def test_timeout_ends_the_test_and_names_its_line(lone_workplace: Workplace) -> None:
    with _running(lone_workplace, "--timeout", "6s") as process:
        family = members_of(process)
        _, errors = process.communicate(timeout=STOP_LIMIT_S)
        assert process.returncode == 124
        assert b"the test goes on" not in errors
        told = errors.decode().splitlines()
        at_two = told.index("two:")
        assert any("sleep 1000: S (sleeping)" in line for line in told[at_two:])
        assert any("trap '' TERM" in line for line in told[told.index("one:") : at_two])
        assert told[-1] == "rootrun: error: check.py: line 12: longer than --timeout 6 s"
        assert_gone(family)
        assert list((lone_workplace.path / "scratch").iterdir()) == []


def test_a_killed_test_leaves_nothing(any_workplace: Workplace) -> None:
    with _running(any_workplace, *any_workplace.options) as process:
        family = members_of(process)
        assert len(family) > 6
        process.kill()
        process.communicate(timeout=STOP_LIMIT_S)
        assert_gone(family)
        assert becomes_empty(any_workplace.path / "scratch")


def test_machines_are_closed_when_the_script_is_over(any_workplace: Workplace) -> None:
    any_workplace.base()
    script = _SCRIPT.partition("print")[0] + "Machine('base.tar', name='three').start()\n"
    any_workplace.write("check.py", script)
    scratch = any_workplace.path / "scratch"
    scratch.mkdir()
    any_workplace.own(scratch)
    done = any_workplace.run("test", "check.py", "--tmpdir", "scratch", *any_workplace.options)
    assert done.returncode == 0, done.stderr.decode()
    assert list(scratch.iterdir()) == []
