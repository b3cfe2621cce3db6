"""The stacks of what did not end in time."""

import textwrap

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_STACKS = """
def stacks_of(command, **options):
    try:
        machine.execute(command, timeout=1, **options)
    except MachineTimeoutError as error:
        return str(error)
"""


def test_hanging_command_shows_its_processes_and_calls(workplace: Workplace) -> None:
    source = f"""
{_STACKS}
with Machine("base.tar") as machine:
    tell(stacks_of("echo begun; cat /proc/self/status >/dev/null; sleep 600 | cat"))
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


def _processes(stacks: str) -> list[list[str]]:
    """Return the lines of each process."""
    found: list[list[str]] = []
    for line in textwrap.dedent(stacks).splitlines():
        if not line.startswith(" "):
            found.append([])
        found[-1].append(line)
    return found
