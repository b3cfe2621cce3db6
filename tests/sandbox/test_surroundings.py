"""Hosts that allow less than usual, or call us in odd ways."""

import os

import pytest

from tests.sandbox.conftest import Make, Run
from tests.sandbox.containers import Ran, finish, start
from tests.sandbox.drivers.container import Wanted
from tests.support.require import require_program
from tests.support.users import Account

pytestmark = pytest.mark.userns

_LOOK = "cat /proc/self/mountinfo; test -r /proc/self/fd/0; exec 5< /proc/self/status; kill -0 1"


def _finished_under(wanted: Wanted, account: Account | None, shell: str) -> Ran:
    return finish(start(wanted, account=account, under=["sh", "-c", f'{shell}; exec "$@"', "sh"]))


def _finished_where(wanted: Wanted, account: Account, mounts: str) -> Ran:
    unshare = [os.fspath(require_program("unshare")), "-Urm", "sh", "-c"]
    return finish(start(wanted, account=account, under=[*unshare, f'{mounts}; exec "$@"', "sh"]))


def test_covered_proc_is_bound(wanted: Make, lone: Account) -> None:
    request = wanted(_LOOK, account=lone)
    ran = _finished_where(request, lone, "mount --bind /dev/null /proc/timer_list")
    assert ran.status == 0
    assert " /proc/timer_list " in ran.output


def test_bound_proc_is_protected_as_well(wanted: Make, lone: Account) -> None:
    request = wanted("! touch /proc/sys/kernel/hostname; ! test -s /proc/keys", account=lone)
    assert _finished_where(request, lone, "mount --bind /dev/null /proc/keys").status == 0


@pytest.mark.parametrize(
    ("mounts", "told"),
    [
        ("mount -t tmpfs t /sys", " /sys "),
        ("mount --bind /dev/null /sys/kernel/notes", " /sys/kernel/notes "),
    ],
    ids=["gone", "partly covered"],
)
def test_covered_sys_is_bound_read_only(
    mounts: str, told: str, wanted: Make, lone: Account
) -> None:
    request = wanted("cat /proc/self/mountinfo; ! touch /sys/x /sys/kernel/x", account=lone)
    ran = _finished_where(request, lone, mounts)
    assert ran.status == 0
    assert told in ran.output


def test_host_without_some_devices_gives_the_others(wanted: Make, lone: Account) -> None:
    request = wanted("test -c /dev/null; ! test -e /dev/full", account=lone)
    devices = "mount -t tmpfs t /mnt; touch /mnt/null; mount --bind /dev/null /mnt/null"
    assert _finished_where(request, lone, f"{devices}; mount --rbind /mnt /dev").status == 0


@pytest.mark.parametrize(
    "shell",
    [
        "trap '' CHLD",
        "trap '' HUP INT TERM PIPE USR1",
        "umask 077",
        "ulimit -n 40",
        "ulimit -c unlimited",
        "cd /proc/self/task",
        "exec 3< /etc/passwd 8> /dev/null 9< /",
    ],
)
def test_odd_callers_change_nothing_inside(shell: str, wanted: Make, tester: Account) -> None:
    script = "umask; ulimit -c; pwd; ls /proc/self/fd; grep SigIgn /proc/self/status"
    ran = _finished_under(wanted(script, account=tester), tester, shell)
    assert ran.output.split() == ["0022", "0", "/", *"0123", "SigIgn:", "0" * 16]
    assert ran.answer["children"] is False


def test_caller_without_stdin_changes_nothing_inside(run: Run) -> None:
    ran = run("echo $(ls /proc/$$/fd); readlink /proc/self/fd/0", has_stdin=False)
    assert ran.output == "0 1 10 2 3\n/dev/null\n"


def test_container_in_a_container_works(run_as_caller: Run) -> None:
    ran = run_as_caller(
        "unshare -rmpinuf sh -c 'mount -t tmpfs t /tmp && mount --rbind /proc /tmp && id -u'"
    )
    assert ran.output == "0\n"
