"""Ends of a container: by itself, by time, by a signal, by force. Nothing is ever left."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.sandbox.conftest import Caller, Make, Run
from tests.sandbox.containers import finish, start
from tests.sandbox.drivers.container import Wanted
from tests.sandbox.processes import Watch, watched

pytestmark = pytest.mark.userns

_TELL = "readlink /proc/self/ns/pid\n"  # once all is set up, for watched()
_STUBBORN = f"trap '' TERM INT HUP QUIT; sleep 1000 & setsid sleep 1000 & {_TELL}wait"


@contextmanager
def _watched_run(
    wanted: Wanted, caller: Caller | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], Watch]]:
    process = start(wanted, account=caller.account if caller else None)
    with process:
        try:
            with watched(process) as watch:
                yield process, watch
        finally:
            process.kill()


@pytest.mark.parametrize(
    "script",
    ["sleep 1000 &", "setsid sleep 1000 &", "(setsid sh -c 'sleep 1000 & sleep 1000' &) &"],
    ids=["child", "session", "double fork"],
)
def test_daemon_ends_with_the_script(script: str, run_as_caller: Run) -> None:
    # The daemon holds the pipes that finish() reads to their end.
    ran = run_as_caller(f"{script}\necho done")
    assert (ran.output, ran.status) == ("done\n", 0)
    assert ran.answer["children"] is False


def test_orphans_are_reaped_while_the_script_runs(run: Run) -> None:
    ran = run(
        "for n in $(seq 20); do (sleep 0 &); done; sleep 0\n"
        "while grep -l 'State:.Z' /proc/[0-9]*/status; do :; done; echo clean"
    )
    assert ran.output.endswith("clean\n")


def test_timeout_ends_the_script_and_names_what_ran(run_as_caller: Run) -> None:
    ran = run_as_caller("sleep 1000 & exec sleep 2000", timeout_s=0.5)
    message = "ScriptTimeoutError: run 1.sh: longer than the timeout of 0.5 s: still running: "
    assert ran.error.startswith(message)
    assert "sleep 1000" in ran.error
    assert "sleep 2000" in ran.error
    assert (ran.answer["exit"], ran.answer["children"]) == (124, False)


def test_script_may_clean_up_at_its_timeout(run: Run) -> None:
    ran = run("trap 'echo bye; exit 0' TERM; sleep 1000 & wait", timeout_s=0.3)
    assert "bye" in ran.output.splitlines()
    assert ran.answer["exit"] == 124


def test_timeout_is_for_all_steps_together(run: Run) -> None:
    ran = run("sleep 0.3", "sleep 1000", timeout_s=0.6)
    assert "run 2.sh: longer than the timeout" in ran.error


@pytest.mark.root
def test_script_that_ignores_its_timeout_is_killed(wanted: Make) -> None:
    with _watched_run(wanted(_STUBBORN, timeout_s=0.3)) as (process, watch):
        assert "ScriptTimeoutError" in finish(process).error
        assert watch.all_end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_signal_is_passed_on_to_the_script(
    number: signal.Signals, wanted: Make, caller: Caller
) -> None:
    traps = "trap 'echo TERM; exit 0' TERM; trap 'echo INT; exit 0' INT"
    script = f"{traps}; sleep 1000 & {_TELL}wait"
    with _watched_run(wanted(script, account=caller.account), caller) as (process, watch):
        process.send_signal(number)
        ran = finish(process)
        assert ran.error == f"Interrupted: {number.value}"
        assert number.name.removeprefix("SIG") in ran.output.splitlines()
        assert watch.all_end()


@pytest.mark.root
def test_second_signal_ends_at_once_what_ignores_the_first(wanted: Make) -> None:
    script = f"trap 'echo first' TERM; {_TELL}while :; do sleep 1000 & wait; done"
    with _watched_run(wanted(script)) as (process, watch):
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        # The shell may tell before that its child was terminated, which got the signal too.
        while (line := process.stderr.readline()) != b"first\n":
            assert line, "the script ended"
        process.send_signal(signal.SIGINT)
        assert finish(process).error == "Interrupted: 2"
        assert watch.all_end()


@pytest.mark.root
def test_signal_to_what_ignores_it_ends_in_force(wanted: Make) -> None:
    with _watched_run(wanted(_STUBBORN)) as (process, watch):
        process.send_signal(signal.SIGTERM)
        assert finish(process).error == "Interrupted: 15"
        assert watch.all_end()


def test_kill_of_main_leaves_no_process(wanted: Make, caller: Caller) -> None:
    request = wanted(_STUBBORN, account=caller.account)
    with _watched_run(request, caller) as (process, watch):
        process.kill()
        assert watch.all_end()


@pytest.mark.parametrize("victim", ["monitor", "init"])
def test_kill_of_a_process_between_is_an_error(victim: str, wanted: Make, caller: Caller) -> None:
    request = wanted(_STUBBORN, account=caller.account)
    with _watched_run(request, caller) as (process, watch):
        signal.pidfd_send_signal(watch.pidfds[victim], signal.SIGKILL)
        ran = finish(process)
        assert ran.error.startswith(f"SandboxError: run container: its {victim} process: ")
        assert "killed" in ran.error
        assert watch.all_end()


def test_failure_alongside_ends_the_script_and_is_told(run: Run) -> None:
    ran = run("sleep 1000", failing_task="copy base: layer 3: wrong digest")
    assert ran.error == "RootrunError: copy base: layer 3: wrong digest"
    assert ran.answer["children"] is False
