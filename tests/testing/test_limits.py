"""Limits of machines: each holds for each kind of caller, and says so."""

import re

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_TOLD = """
from rootrun.errors import RootrunError
def told(function, *args, **options):
    try:
        tell(function(*args, **options))
    except RootrunError as error:
        tell(f"{type(error).__name__}: {error}")
"""


def test_machine_beyond_its_memory_ends_with_the_reason(workplace: Workplace) -> None:
    source = """
with Machine("base.tar", name="web", options=MachineOptions(memory_bytes=32 << 20)) as machine:
    machine.write_text("/kept", "kept")
    told(machine.execute, "dd if=/dev/zero of=/dev/shm/x bs=1M count=60; sleep 60", timeout=50)
    told(machine.succeed, "true")
    tell(machine.is_up())
    machine.start()
    told(machine.succeed, "cat /kept")
"""
    first, *others = run_harness(workplace, _TOLD + source)
    reason = r"run machine web: --memory: more than 32\.0 MiB: it had \d\d\.\d MiB"
    assert re.fullmatch(rf"LimitError: web: dd .*: the machine has ended: {reason}", str(first))
    assert re.fullmatch(f"LimitError: {reason}", str(others[0]))
    assert others[1:] == [False, "kept"]


def test_machine_that_changes_too_much_ends_with_the_reason(workplace: Workplace) -> None:
    source = """
with Machine("base.tar", name="web", options=MachineOptions(disk_bytes=10 << 20)) as machine:
    machine.succeed("dd if=/dev/zero of=/x bs=1M count=5")
    machine.reboot()
    told(machine.execute, "dd if=/dev/zero of=/y bs=1M count=8; sleep 60", timeout=50)
    told(machine.start)
"""
    first, again = run_harness(workplace, _TOLD + source)
    reason = r"run machine web: --disk: changed more than 10\.0 MiB: 13\.0 MiB so far"
    assert re.fullmatch(rf"LimitError: web: dd .*: the machine has ended: {reason}", str(first))
    assert re.fullmatch(f"LimitError: {reason}", str(again))


@pytest.mark.parametrize("workplace", ["subids", "single"], indirect=True)
def test_kernel_counts_processes_of_each_machine_alone(workplace: Workplace) -> None:
    source = """
options = MachineOptions(pids=10)
machines = [Machine("base.tar", name=f"m{n}", options=options) for n in range(4)]
for machine in machines:
    machine.start()
    tell(machine.succeed("for i in 1 2 3 4 5 6; do sleep 60 >/dev/null 2>&1 & done; echo fine"))
told(machine.succeed, "while :; do sleep 60 >/dev/null 2>&1 & done")
threads = [threading.Thread(target=told, args=(machine.execute, "exec sleep 60"))
           for _ in range(4)]
for thread in threads:
    thread.start()
while sum(thread.is_alive() for thread in threads) > 1:
    time.sleep(0.01)
machine.crash()
threads = [thread.join() for thread in threads]
machine.start()
told(machine.succeed, "echo again")
"""
    *fine, refused, full, full_too, _, ended, again = run_harness(workplace, _TOLD + source)
    assert fine == ["fine\n"] * 4
    assert "can't fork: Resource temporarily unavailable" in str(refused)
    assert full == full_too == "LimitError: run machine m3: --pids: no more than 10 at a time"
    assert "the machine has ended" in str(ended)
    assert again == "again\n"


@pytest.mark.parametrize("workplace", ["root"], indirect=True)
def test_machine_of_root_with_too_many_processes_ends(workplace: Workplace) -> None:
    source = """
with Machine("base.tar", name="web", options=MachineOptions(pids=10)) as machine:
    told(machine.execute, "while :; do sleep 60 & done", timeout=50)
    told(machine.succeed, "true")
"""
    first, second = run_harness(workplace, _TOLD + source)
    reason = r"run machine web: --pids: more than 10 at a time: there were \d+"
    assert re.search(f"the machine has ended: {reason}", str(first))
    assert re.fullmatch(f"LimitError: {reason}", str(second))


def test_descriptors_and_processors_are_limited(workplace: Workplace) -> None:
    source = """
with Machine("base.tar", options=MachineOptions(nofile=20, cpus=1)) as machine:
    tell(machine.succeed("ulimit -n; ulimit -Hn"))
    tell(machine.succeed("grep Cpus_allowed_list /proc/self/status").split()[1].isdecimal())
"""
    assert run_harness(workplace, source) == ["20\n20\n", True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("nofile=1 << 40", "--nofile: 1099511627776: more than the hard limit of "),
        ("cpus=0.001", "--cpus: 0.001: less than 0.01"),
    ],
)
def test_limit_that_cannot_be_kept_is_refused(
    options: str, message: str, lone_workplace: Workplace
) -> None:
    source = f'told(Machine("base.tar", options=MachineOptions({options})).start)'
    [told] = run_harness(lone_workplace, _TOLD + source)
    assert message in str(told)
