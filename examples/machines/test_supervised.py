"""A service under runit, with no systemd: killed and restarted, told to stop, shut down."""

import re

import pytest

from rootrun.testing import Machine, Service
from rootrun.testing.plugin import MachineFactory

RUN = """#!/bin/sh
trap 'echo worker ended in order; exit 0' TERM
echo worker started as $$
while :; do sleep 1 & wait; done
"""
WORKER = "/srv/worker"


@pytest.fixture
def machine(debian: str, rootrun_machine: MachineFactory) -> Machine:
    machine = rootrun_machine(debian)
    machine.succeed(f"mkdir -p {WORKER}")
    machine.write_text(f"{WORKER}/run", RUN, mode=0o755)
    return machine


@pytest.fixture
def supervisor(machine: Machine) -> Service:
    supervisor = machine.start("runsvdir -P /srv")
    supervisor.wait_for_log("worker started", timeout=30)
    return supervisor


def test_worker_that_is_killed_comes_back(machine: Machine, supervisor: Service) -> None:
    first = supervisor.wait_for_log("worker started as").split()[-1]
    machine.succeed(f"kill -KILL {first}")
    another = re.compile(rf"worker started as (?!{first}\b)")
    second = supervisor.wait_for_log(another, timeout=30).split()[-1]
    machine.succeed(f"kill -0 {second}")
    assert "ended in order" not in supervisor.log()


def test_worker_stays_down_when_it_is_told_to(machine: Machine, supervisor: Service) -> None:
    machine.succeed(f"sv -w 30 stop {WORKER}")
    assert machine.execute(f"sv status {WORKER}").stdout.startswith("down: ")
    supervisor.wait_for_log("worker ended in order", timeout=30)
    machine.succeed(f"sv -w 30 start {WORKER}")
    assert machine.execute(f"sv status {WORKER}").stdout.startswith("run: ")


def test_shutdown_ends_all_in_order(machine: Machine, supervisor: Service) -> None:
    machine.shutdown(grace=30)
    assert supervisor.log().splitlines()[-1] == "worker ended in order"
    assert not supervisor.is_running()
    machine.start()
    machine.fail("pgrep runsv")
