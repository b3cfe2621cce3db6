"""What ``rootrun test`` says of scripts that ask for what is not there, or cannot be run."""

import pytest

from tests.support.scripts import ONE, outcome_of
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('machine.wait_for_unit("x")', "there is no systemd: start the program"),
        ('machine.copy_from_host("a", "b")', "use copy_to(SOURCE, DESTINATION)"),
        ('machine.wait_until_succeeds("true", 60)', "by name, as in timeout=60"),
        ('status, out = machine.execute("true")', "execute() returns three values"),
        ("vlan1.stop()", "networks have the names of the test"),
        ("server.start()", ""),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    line: str, hint: str, lone_workplace: Workplace
) -> None:
    status, told = outcome_of(lone_workplace, line, *ONE)
    assert status == 1
    assert told.splitlines()[-1].startswith("rootrun: hint: " if hint else "rootrun: error: ")
    assert hint in told


@pytest.mark.parametrize(
    ("script", "args", "message"),
    [
        ("if x\n", (), "check.py: line 1: expected ':'"),
        ("", ("--from", "no.tar"), "machine: 'no.tar': No such file or directory"),
        ("machine.succeed('true')", ("--from", "bad.tar"), "bad.tar"),
        ("", ("--machine", "A_b=base.tar"), "machine: 'A_b': not a host name"),
        ("", ("--machine", "log=base.tar"), "machine: 'log': scripts have another log"),
        ("Machine('no.tar')", (), "check.py: line 1: machine: 'no.tar': No such file"),
    ],
    ids=["syntax", "no image", "bad image", "bad name", "taken name", "in the script"],
)
def test_what_is_no_failure_of_the_test_has_another_status(
    script: str, args: tuple[str, ...], message: str, lone_workplace: Workplace
) -> None:
    lone_workplace.write("bad.tar", "this is no image")
    status, told = outcome_of(lone_workplace, script, *args)
    assert status == 125
    assert message in told


def test_where_there_can_be_no_machines_the_reason_is_told(lone_workplace: Workplace) -> None:
    lone_workplace.base()
    lone_workplace.write("check.py", "machine.start()")
    none_left = "echo 0 > /proc/sys/user/max_user_namespaces"
    run = "rootrun test --from base.tar check.py"
    done = lone_workplace.shell(f"unshare -Ur sh -c '{none_left}; {run}'")
    told = done.stderr.decode()
    assert done.returncode == 125, told
    reason = "create user namespace: No space left on device"
    error, hint = told.splitlines()[-2:]
    assert error == f"rootrun: error: check.py: line 1: {reason}"
    assert hint.startswith("rootrun: hint: user.max_user_namespaces is 0")
    assert told.count("Traceback") == 1
    assert "/rootrun/" not in told
