"""One machine: its commands, its files, its ends."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


def test_command_tells_status_and_both_outputs(workplace: Workplace) -> None:
    source = """
with Machine("base.tar", name="web") as machine:
    tell(machine.execute("hostname; id -u; pwd; echo trouble >&2; exit 3"))
    tell(machine.execute("echo $COLOUR; pwd", env={"COLOUR": "red"}, cwd="/tmp"))
    tell(machine.execute("id -un", user="app"))
    tell(machine.execute("kill -9 $$").status)
    tell(machine.succeed("echo one", "echo two"))
    tell(machine.fail("echo no; false"))
"""
    assert run_harness(workplace, source) == [
        [3, "web\n0\n/\n", "trouble\n"],
        [0, "red\n/tmp\n", ""],
        [0, "app\n", ""],
        137,
        "one\ntwo\n",
        "no\n",
    ]


def test_unexpected_status_is_an_error_with_the_output(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    for method, command in ((machine.succeed, "echo out; echo err >&2; exit 4"),
                            (machine.fail, "echo fine")):
        try:
            method(command)
        except CommandError as error:
            tell(str(error))
"""
    assert run_harness(lone_workplace, source) == [
        (
            "machine: echo out; echo err >&2; exit 4: ended with status 4\n"
            "stdout:\n  out\nstderr:\n  err"
        ),
        "machine: echo fine: ended with status 0\nstdout:\n  fine",
    ]


def test_files_stay_where_processes_end(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.write_text("/root/note", "kept", mode=0o600)
    machine.execute("sleep 600 >/dev/null 2>&1 &")
    for end in (machine.reboot, lambda: (machine.crash(), machine.start())):
        end()
        tell([machine.read_text("/root/note"), machine.execute("ps | grep -c '[s]leep'").stdout])
    machine.shutdown()
    tell(machine.is_up())
    try:
        machine.execute("true")
    except MachineError as error:
        tell(str(error))
    machine.start()
    tell(machine.succeed("stat -c %a:%U /root/note"))
"""
    assert run_harness(workplace, source) == [
        ["kept", "0\n"],
        ["kept", "0\n"],
        False,
        "machine machine: is down",
        "600:root\n",
    ]


def test_large_output_is_whole(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    result = machine.execute("dd if=/dev/zero bs=1024 count=20480; echo end >&2")
    tell([len(result.stdout), result.stderr.splitlines()[-1]])
"""
    assert run_harness(lone_workplace, source) == [[20 << 20, "end"]]


def test_command_that_leaves_a_process_does_not_wait_for_it(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    tell(machine.succeed("sleep 600 & echo started"))
    tell(machine.succeed("ps | grep -c '[s]leep'"))
"""
    assert run_harness(lone_workplace, source) == ["started\n", "1\n"]


def test_command_beyond_its_time_is_killed_with_all_it_started(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    try:
        machine.execute("echo begun; sleep 600 | sleep 601", timeout=0.5)
    except MachineTimeoutError as error:
        tell(str(error).splitlines()[0].partition(";")[0] + str("begun" in str(error)))
    machine.wait_until_fails("ps | grep '[s]leep'", timeout=20)
    tell(machine.succeed("echo alive"))
"""
    told = "machine: echo begun; sleep 600 | sleep 601: longer than 0.5 s"
    first, alive = run_harness(workplace, source)
    assert isinstance(first, str)
    assert first.startswith(told.partition(";")[0])
    assert first.endswith("True")
    assert alive == "alive\n"


def test_waiting_ends_when_it_comes_true_or_in_time(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.execute("(sleep 0.3; echo now > /tmp/ready) >/dev/null 2>&1 &")
    machine.wait_for_file("/tmp/ready", timeout=20)
    tell(machine.wait_until_succeeds("cat /tmp/ready", timeout=20))
    for wait in (lambda: machine.wait_for_file("/tmp/never", timeout=0.2),
                 lambda: machine.wait_for_open_port(80, timeout=0.2)):
        try:
            wait()
        except MachineTimeoutError as error:
            tell(str(error))
"""
    assert run_harness(lone_workplace, source) == [
        "now\n",
        "machine: test -e /tmp/never: ended with status 1: not within 0.2 s",
        "machine: port 80: is not open: not within 0.2 s\nopen ports:\n  none",
    ]


def test_threads_share_a_machine(lone_workplace: Workplace) -> None:
    source = """
from concurrent.futures import ThreadPoolExecutor
with Machine("base.tar") as machine, ThreadPoolExecutor(8) as pool:
    tell(list(pool.map(lambda n: machine.succeed(f"echo {n}"), range(40))))
"""
    assert run_harness(lone_workplace, source) == [[f"{n}\n" for n in range(40)]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('Machine("missing.tar")', "machine: 'missing.tar': No such file or directory"),
        ('Machine("base.tar", name="Web_1")', "machine: 'Web_1': not a host name"),
        ('Machine("base.tar", options=MachineOptions(idmap="all"))', "id map: 'all': not one of"),
        ('Machine("-")', "machine: '-': an image from standard input"),
        ('Machine("bad.tar")', "bad.tar"),
    ],
    ids=["missing", "name", "id map", "stdin", "no image"],
)
def test_what_cannot_be_is_an_error_with_the_value(
    call: str, message: str, lone_workplace: Workplace
) -> None:
    lone_workplace.write("bad.tar", "this is no image")
    source = f"""
from rootrun.errors import RootrunError
try:
    with {call} as machine:
        machine.execute("true")
except RootrunError as error:
    tell(str(error))
"""
    [told] = run_harness(lone_workplace, source)
    assert message in str(told)


def test_missing_shell_is_told(lone_workplace: Workplace) -> None:
    source = """
with Machine("scratch") as machine:
    tell(machine.execute("true"))
"""
    told = "run /bin/sh: not found in the image\n"
    assert run_harness(lone_workplace, source) == [[127, "", told]]


def test_machine_leaves_nothing(workplace: Workplace) -> None:
    source = """
options = MachineOptions(tmpdir="scratch")
os.mkdir("scratch")
with Machine("base.tar", options=options) as machine:
    machine.execute("mkdir /kept; chmod 0 /kept; sleep 600 >/dev/null 2>&1 &")
    tell(len(os.listdir("scratch")))
tell(len(os.listdir("scratch")))
tell(len(os.listdir("/proc/self/fd")) < 12)
"""
    # The hub's own stays as long as the program does.
    assert run_harness(workplace, source) == [2, 1, True]
    assert list((workplace.path / "scratch").iterdir()) == []
