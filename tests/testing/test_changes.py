"""``Machine.diff``: what changed since the start, as values."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


def test_each_kind_of_change_is_told_with_what_it_is(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    assert machine.diff() == []
    machine.succeed("echo hello > /root/new; chown 1000:2000 /root/new; chmod 4711 /root/new",
                    "mkdir /etc/d", "ln -s new /root/link", "mknod /tmp/n c 1 3",
                    "mkfifo /tmp/f", "rm /etc/group", "chmod 600 /etc/passwd", "touch /bin/busybox")
    for change in machine.diff():
        tell(list(change))
"""
    assert run_harness(workplace, source) == [
        ["/etc/group", "deleted", "", 0, 0, 0, 0, ""],
        ["/etc/d", "added", "directory", 0o755, 0, 0, 0, ""],
        ["/etc/passwd", "changed", "file", 0o600, 0, 0, 68, ""],
        ["/root/link", "added", "symlink", 0o777, 0, 0, 0, "new"],
        ["/root/new", "added", "file", 0o4711, 1000, 2000, 6, ""],
        ["/tmp/f", "added", "fifo", 0o644, 0, 0, 0, ""],
        ["/tmp/n", "added", "character device", 0o644, 0, 0, 0, ""],
    ]


def test_processes_stand_still_only_meanwhile(workplace: Workplace) -> None:
    source = """
WRITER = "i=0; while :; do i=$((i+1)); echo $i > /tmp/count; echo $i > /tmp/again; done"
with Machine("base.tar") as machine:
    machine.succeed(f"({WRITER}) >/dev/null 2>&1 & echo $! > /tmp/writer")
    machine.succeed("sleep 600 >/dev/null 2>&1 & echo $! > /tmp/stopped")
    machine.succeed("kill -STOP $(cat /tmp/stopped)")
    state = "sed 's/.*) //' /proc/$(cat /tmp/stopped)/stat | cut -c1"
    machine.wait_until_succeeds(f"test $({state}) = T", timeout=20)
    for _ in range(5):
        paths = [change.path for change in machine.diff()]
        assert paths[-4:] == ["/tmp/again", "/tmp/count", "/tmp/stopped", "/tmp/writer"], paths
    before = machine.succeed("cat /tmp/again")
    machine.wait_until_succeeds(f"test $(cat /tmp/again) -gt {before.strip()}", timeout=20)
    tell(machine.succeed(state))
"""
    assert run_harness(workplace, source) == ["T\n"]


def test_machine_that_forks_without_end_is_told_and_goes_on(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar", options=MachineOptions(pids=60)) as machine:
    machine.succeed("echo x > /tmp/x; (while :; do (true; exit) & done) >/dev/null 2>&1 &")
    for _ in range(5):
        assert [change.path for change in machine.diff()] == ["/tmp/x"]
    machine.reboot(grace=0)
    tell(machine.succeed("cat /tmp/x"))
"""
    assert run_harness(lone_workplace, source) == ["x\n"]


def test_change_is_told_of_a_machine_that_is_down(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.succeed("echo x > /tmp/x")
    machine.crash()
    tell([change.path for change in machine.diff()])
    machine.start()
    tell([change.path for change in machine.diff()])
"""
    assert run_harness(lone_workplace, source) == [["/tmp/x"], ["/tmp/x"]]


def test_thread_that_runs_commands_never_sees_them_stopped(lone_workplace: Workplace) -> None:
    source = """
from concurrent.futures import ThreadPoolExecutor
with Machine("base.tar") as machine, ThreadPoolExecutor(4) as pool:
    diffs = [pool.submit(machine.diff) for _ in range(20)]
    runs = [pool.submit(machine.succeed, f"echo {n} > /tmp/{n}; cat /tmp/{n}") for n in range(40)]
    for diff in diffs:
        diff.result()
    tell([run.result() for run in runs] == [f"{n}\\n" for n in range(40)])
    tell(len(machine.diff()))
"""
    assert run_harness(lone_workplace, source) == [True, 40]
