"""The stacks of what did not end in time."""

import os
import sys
import textwrap

import pytest

from tests.support.harness import run_harness
from tests.support.require import require
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_STACKS = """
def stacks_of(command, **options):
    try:
        machine.execute(command, timeout=1, **options)
    except MachineTimeoutError as error:
        return str(error)
"""

_PROGRAM = """
import os, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
locked = threading.Lock()
locked.acquire()
threading.Thread(target=locked.acquire).start()
if os.fork() == 0:
    os.setsid()
    while True:
        pass
os.wait()
"""


def test_hanging_command_shows_its_processes_and_calls(workplace: Workplace) -> None:
    source = f"""
{_STACKS}
with Machine("base.tar") as machine:
    tell(stacks_of("echo begun; sleep 600 | cat"))
    tell(machine.succeed("ps | grep -c '[s]leep' || true"))
"""
    told, left = run_harness(workplace, source)
    assert left == "0\n"
    output, _, stacks = str(told).partition("\nprocesses by then:\n")
    assert output.endswith("longer than 1 s\nstdout:\n  begun")
    shell, sleep, cat = _processes(stacks)
    assert "/bin/sh -c" in shell[0]
    assert "wait" in shell[1]
    assert "sleep 600: S (sleeping)" in sleep[0]
    assert "nanosleep" in sleep[1]
    assert "cat: S (sleeping)" in cat[0]
    assert "read of 0, pipe:[" in cat[1]
    assert all("/bin/busybox+0x" in process[2] for process in (shell, sleep, cat))


def test_threads_and_descendants_are_shown_with_the_names_of_functions(
    lone_workplace: Workplace,
) -> None:
    interpreter = os.path.realpath(sys.executable)
    require(interpreter.startswith("/usr/"), f"{interpreter} is not below /usr")
    source = f"""
{_STACKS}
options = MachineOptions(binds=(Bind(source=Path("/usr"), destination="/usr", read_only=True),))
with Machine("base.tar", options=options) as machine:
    machine.succeed("ln -s usr/lib /lib; ln -s usr/lib64 /lib64")
    machine.write_text("/program", {_PROGRAM!r})
    tell(stacks_of("exec {interpreter} -I -S /program"))
"""
    [told] = run_harness(lone_workplace, source)
    parent, child = _processes(str(told).partition("\nprocesses by then:\n")[2])
    threads = [line.split(": ", 1)[1] for line in parent if line.startswith("  thread")]
    assert [thread.split(",")[0] for thread in threads] == ["wait4", "clock_nanosleep", "futex"]
    assert any(line.startswith("    at clock_nanosleep (/usr/lib/") for line in parent)
    assert any("called by" in line and "PyEval_" in line for line in parent)
    assert "R (running), child of" in child[0]
    assert "computes" in child[1]
    assert "_PyEval_EvalFrameDefault" in "".join(child[2:])


def test_names_that_a_terminal_would_obey_are_escaped(lone_workplace: Workplace) -> None:
    source = f"""
{_STACKS}
with Machine("base.tar") as machine:
    tell(stacks_of("printf 'a\\\\033[31m' > /proc/$$/comm; sleep 600; :"))
"""
    [told] = run_harness(lone_workplace, source)
    assert "thread a\\x1b[31m: wait4" in str(told)
    assert "\x1b" not in str(told)


def test_processes_beyond_some_number_are_counted(lone_workplace: Workplace) -> None:
    source = f"""
{_STACKS}
with Machine("base.tar") as machine:
    many = "while [ $i -lt 60 ]; do sleep 600 & i=$((i + 1)); done; wait"
    tell(stacks_of(f"i=0; {{many}}").splitlines()[-1])
    tell(machine.succeed("ps | grep -c '[s]leep' || true"))
"""
    assert run_harness(lone_workplace, source) == ["  and 21 more", "0\n"]


def test_service_that_does_not_end_shows_its_stacks_and_goes_on(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    service = machine.start("echo busy; while :; do :; done")
    service.wait_for_log("busy", timeout=20)
    try:
        service.wait(timeout=0.3)
    except MachineTimeoutError as error:
        tell(str(error))
    tell([service.is_running(), " R " in machine.succeed(f"cat /proc/{service.pid}/stat")])
"""
    told, state = run_harness(lone_workplace, source)
    assert state == [True, True]
    assert "service echo: did not end within 0.3 s\nprocesses by then:\n" in str(told)
    assert "computes\n      at /bin/busybox+0x" in str(told)
    assert str(told).endswith("\nits log:\n  busy")


def _processes(stacks: str) -> list[list[str]]:
    """Return the lines of each process."""
    found: list[list[str]] = []
    for line in textwrap.dedent(stacks).splitlines():
        if not line.startswith(" "):
            found.append([])
        found[-1].append(line)
    return found
