"""Limits kept by a control group: the root of a machine may make one, and who was given a part."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmtests.control import Answer
from vmtests.guest_runs import guest, run
from vmtests.images import Kernel
from vmtests.machine import Machine

pytestmark = pytest.mark.vm

_ALL = "/sys/fs/cgroup"
_PART = f"{_ALL}/part"  # of the users, as systemd gives one
_SCRIPTS = {
    "nothing": "echo > /made\n",
    "hog": "dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 60\n",
    "files": "dd if=/dev/zero of=/dev/shm/a bs=1M count=60; dd if=/dev/zero of=/tmp/b bs=40M\n",
    "some": "dd if=/dev/zero of=/dev/null bs=40M count=1\n",
    # Many of its processes cannot fork; its first one, which tells the status, cannot in the end.
    "bomb": """\
bomb() { [ $1 -gt 8 ] || { bomb $(($1+1)) & bomb $(($1+1)) & }; sleep 20; }
bomb 0 &
n=0
while [ $n -lt 40 ]; do sleep 20 & n=$((n+1)); done
""",
    "group": "cat /proc/self/cgroup\n",
    "busy": "busybox timeout 2 sh -c 'while :; do :; done' || :\n",
    "long": "echo ready; sleep 1000\n",
}
CALLERS = ("root", "tester", "lone")


@pytest.fixture(scope="module")
def machine(
    usual_kernel: Kernel, basic_rootfs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """One machine for all, whose users have a part of the control groups."""
    tmp = tmp_path_factory.mktemp("limits")
    files: dict[str, Path | str] = {f"scripts/{name}.sh": text for name, text in _SCRIPTS.items()}
    with guest(usual_kernel, basic_rootfs, tmp, files=files) as booted:
        booted.succeed(
            f"echo '+memory +pids +cpu' > {_ALL}/cgroup.subtree_control",
            f"chmod o+w {_ALL}/cgroup.procs",  # so that a user can leave the agent's group
        )
        for user in ("tester", "lone"):
            part = f"{_PART}-{user}"
            booted.succeed(
                f"mkdir {part} && echo '+memory +pids +cpu' > {part}/cgroup.subtree_control",
                f"mkdir {part}/app && chown -R {user}: {part}",
            )
        yield booted


def limited(machine: Machine, user: str, *limits: str, name: str) -> Answer:
    """Run the script ``name`` as ``user``, from a control group that is the user's."""
    if user == "root":
        return run(machine, user, *limits, "--verbose", name=name)
    enter = f"echo $$ > {_PART}-{user}/app/cgroup.procs"
    return run(machine, user, *limits, "--verbose", name=name, prefix=f"{enter};")


def groups_left(machine: Machine) -> str:
    """Return the control groups of runs that are there."""
    return machine.succeed(f"find {_ALL} -name 'rootrun-*'")


@pytest.mark.parametrize("user", CALLERS)
@pytest.mark.parametrize("name", ["hog", "files"])
def test_more_memory_than_allowed_ends_the_script(name: str, user: str, machine: Machine) -> None:
    answer = limited(machine, user, "--memory", "64M", name=name)
    assert answer.status == 125, answer.stderr
    assert "memory: kept by the control group" in answer.stderr
    (error,) = [line for line in answer.stderr.splitlines() if "rootrun: error:" in line]
    assert "--memory: more than 64.0 MiB: it had 6" in error
    assert groups_left(machine) == ""


@pytest.mark.parametrize("user", CALLERS)
def test_a_fork_bomb_gets_no_further_than_its_limit(user: str, machine: Machine) -> None:
    answer = limited(machine, user, "--pids", "30", "--timeout", "60", name="bomb")
    assert "pids: kept by the control group" in answer.stderr
    assert answer.status not in (0, 124, 125), answer.stderr
    assert "can't fork: Resource temporarily unavailable" in answer.stderr
    assert groups_left(machine) == ""


@pytest.mark.parametrize("user", CALLERS)
def test_a_part_of_a_processor(user: str, machine: Machine) -> None:
    answer = limited(machine, user, "--cpus", "0.25", name="busy")
    assert answer.status == 0, answer.stderr
    usage = json.loads(answer.stdout)["usage"]
    assert 0.2 < usage["cpuSeconds"] < 1.2


@pytest.mark.parametrize("user", CALLERS)
def test_the_script_sees_its_group_as_the_root(user: str, machine: Machine) -> None:
    answer = limited(machine, user, "--pids", "30", name="group")
    assert answer.status == 0, answer.stderr
    assert "\n0::/\n" in answer.stderr


@pytest.mark.parametrize("user", CALLERS)
def test_peak_memory_is_what_the_kernel_counted(user: str, machine: Machine) -> None:
    answer = limited(machine, user, "--memory", "512M", name="some")
    usage = json.loads(answer.stdout)["usage"]
    assert 40 << 20 < usage["peakMemoryBytes"] < 200 << 20


def test_a_part_of_a_processor_without_a_group_is_refused(machine: Machine) -> None:
    answer = run(machine, "tester", "--cpus", "0.5", name="nothing")
    assert answer.status == 125
    assert "--cpus: 0.5: a part of a processor takes a control group: " in answer.stderr


def test_the_group_of_a_killed_run_is_removed_by_the_next(machine: Machine) -> None:
    place = "cd /scratch/root && export XDG_CACHE_HOME=/scratch/root/cache"
    long = (
        "rootrun --from /luggage/base.tar --script /luggage/scripts/long.sh --memory 64M -o k.tar"
    )
    machine.succeed(f"({place}; exec {long}) > /tmp/told 2>&1 & echo $! > /tmp/pid")
    machine.wait_until_succeeds("grep -q ready /tmp/told")
    assert groups_left(machine) != ""
    machine.succeed("kill -9 $(cat /tmp/pid)")
    time.sleep(0.5)
    answer = limited(machine, "root", "--memory", "64M", name="nothing")
    assert answer.status == 0, answer.stderr
    assert groups_left(machine) == ""
