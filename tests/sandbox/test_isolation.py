"""What a script sees of the host: nothing, whoever runs it."""

import os
import socket
from pathlib import Path

import pytest

from tests.sandbox.conftest import Caller, Run

pytestmark = pytest.mark.userns

_WRITE_BELOW = "echo x > /mnt/directory/sys/kernel/core_pattern"


def test_script_is_root_of_its_own_ids(run_as_caller: Run, caller: Caller) -> None:
    ran = run_as_caller("id -u; id -g; exit 7")
    assert ran.output == "0\n0\n"
    assert ran.status == 7
    assert ran.answer["idMap"] == caller.id_map


def test_only_standard_descriptors_are_open(run_as_caller: Run) -> None:
    ran = run_as_caller("echo $(ls /proc/$$/fd); for n in 0 10; do readlink /proc/$$/fd/$n; done")
    # The shell has its script open as 10, and as 3 what it reads the names from.
    assert ran.output.splitlines() == ["0 1 10 2 3", "/dev/null", "/dev/.rootrun/script-1"]


def test_environment_is_what_was_asked_for(run_as_caller: Run) -> None:
    ran = run_as_caller(command=["env"], environment={"PATH": "/bin", "A": "1"})
    assert sorted(ran.output.splitlines()) == ["A=1", "PATH=/bin"]


def test_no_process_shows_the_callers_environment(run_as_caller: Run) -> None:
    ran = run_as_caller("cat /proc/*/environ 2>&1 | tr '\\0' '\\n'; exit 0")
    assert "canary" not in ran.output
    assert "Permission denied" in ran.output


@pytest.mark.parametrize("path", ["cwd", "root", "exe", "fd/0"])
def test_links_of_pid_1_lead_nowhere(path: str, run_as_caller: Run) -> None:
    ran = run_as_caller(f"readlink /proc/1/{path} && exit 1; ls /proc/1/{path}/ && exit 1; exit 0")
    assert ran.status == 0


def test_pid_1_does_not_show_the_callers_command_line(run_as_caller: Run) -> None:
    ran = run_as_caller("tr -d '\\0' < /proc/1/cmdline; echo; cat /proc/1/comm")
    assert ran.output == "rootrun-init\nrootrun-init\n"


def test_only_processes_of_the_container_are_there(run_as_caller: Run) -> None:
    assert run_as_caller("echo /proc/[0-9]*").output == "/proc/1 /proc/2\n"


def test_kill_of_everything_reaches_nobody_outside(run_as_caller: Run) -> None:
    ran = run_as_caller("kill -9 -1; kill -9 1; kill -TERM 1; exit 3", "exit 4")
    assert "can't kill pid -1: No such process" in ran.output
    assert ran.status == 1  # as sh -e has it


def test_pid_1_is_deaf_to_the_script(run_as_caller: Run) -> None:
    assert run_as_caller("kill -KILL 1; kill -TERM 1; kill -INT 1; exit 3").status == 3


def test_mounts_of_the_host_are_gone(run_as_caller: Run) -> None:
    ran = run_as_caller("cut -d' ' -f2 /proc/self/mounts")
    top = {line.split("/")[1] for line in ran.output.splitlines()}
    assert top == {"", "proc", "dev", "sys"}


def test_host_name_is_its_own(run_as_caller: Run) -> None:
    before = os.uname().nodename
    ran = run_as_caller("hostname; hostname other; hostname")
    assert ran.output == "rootrun\nother\n"
    assert os.uname().nodename == before


def test_network_is_a_loopback_that_works(run_as_caller: Run) -> None:
    ran = run_as_caller("cut -d: -f1 /proc/net/dev | tail -n +3\nping -q -c 1 -W 5 127.0.0.1")
    assert ran.output.split()[0] == "lo"
    assert ran.status == 0


def test_service_of_the_host_is_not_reachable(run_as_caller: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ran = run_as_caller(f"nc -w 2 127.0.0.1 {port} < /dev/null && exit 1; exit 0")
    assert ran.status == 0


def test_terminal_is_not_controlling(run_as_caller: Run) -> None:
    ran = run_as_caller("echo hi > /dev/tty && exit 1; awk '{print $6 == $1, $7}' /proc/$$/stat")
    assert ran.output.splitlines()[-1] == "1 0"  # leads a session that has no terminal


def test_core_dumps_are_off_and_umask_is_022(run_as_caller: Run) -> None:
    ran = run_as_caller("ulimit -c; umask; pwd; grep SigIgn /proc/self/status")
    assert ran.output.split() == ["0", "0022", "/", "SigIgn:", "0" * 16]


@pytest.mark.parametrize(
    "attempt",
    [
        "echo x > /proc/sys/kernel/core_pattern",
        "umount /proc/sys && echo x > /proc/sys/kernel/core_pattern",
        "mount -o remount,bind,rw /proc/sys && echo x > /proc/sys/kernel/core_pattern",
        "echo h > /proc/sysrq-trigger",
        f"umount -l /proc; mount -t proc p /mnt/directory && {_WRITE_BELOW}",
        "umount /sys; mount -o remount,rw /sys && echo 0 > /sys/kernel/mm/ksm/run",
        f"unshare -rmpf sh -c 'mount -t proc p /mnt/directory && {_WRITE_BELOW}'",
    ],
    ids=["write", "uncover", "remount", "sysrq", "fresh proc", "sysfs", "deeper"],
)
def test_settings_of_the_kernel_cannot_be_changed(attempt: str, run_as_caller: Run) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    try:
        ran = run_as_caller(f"set +e\n({attempt}) && exit 1; exit 0")
        assert ran.status == 0
        assert Path("/proc/sys/kernel/core_pattern").read_text() == before
    finally:
        Path("/proc/sys/kernel/core_pattern").write_text(before)


def test_device_of_the_host_cannot_be_made(run_as_caller: Run) -> None:
    assert run_as_caller("mknod /tmp/disk b 254 0 && exit 1; exit 0").status == 0
