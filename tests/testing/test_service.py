"""Services: commands in the background, their logs, their ends."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


def test_service_is_heard_and_stopped(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    command = "echo $COLOUR; id -un >&2; pwd; echo ready; exec sleep 600"
    with machine.start(command, user="app", cwd="/tmp", env={"COLOUR": "red"}) as service:
        tell(service.wait_for_log("ready", timeout=20))
        tell([service.name, service.is_running(), service.status, service.log()])
    tell([service.is_running(), service.status, service.log().split()])
    tell(machine.execute("ps | grep -c '[s]leep'").stdout)
"""
    assert run_harness(workplace, source) == [
        "ready",
        ["echo", True, None, "red\napp\n/tmp\nready\n"],
        [False, 143, ["red", "app", "/tmp", "ready"]],
        "0\n",
    ]


def test_log_outlives_service_and_crash(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    short = machine.start("echo short; exit 3", name="short")
    long = machine.start("echo long; exec sleep 600", name="long")
    tell(short.wait(timeout=20))
    long.wait_for_log("long", timeout=20)
    machine.crash()
    tell([(one.status, one.log()) for one in (short, long)])
    machine.start()
    tell([(one.status, one.stop()) for one in (short, long)])
    tell(machine.start("exit 5", name="long").wait(timeout=20))
    tell(long.log())
"""
    ends: list[object] = [[3, "short\n"], [137, "long\n"]]
    assert run_harness(workplace, source) == [3, ends, [[3, 3], [137, 137]], 5, "long\n"]


def test_waiting_for_a_log_ends_with_who_writes_it(lone_workplace: Workplace) -> None:
    source = """
import re
with Machine("base.tar") as machine:
    later = machine.start("(sleep 0.3; echo port 8080 open) & echo started")
    tell(later.wait_for_log(re.compile("port [0-9]+ open$", re.M), timeout=20))
    bad, silent = machine.start("echo bad; exit 4", name="a"), machine.start("sleep 9", name="b")
    for service in (bad, silent):
        try:
            service.wait_for_log("good (", timeout=0.3)
        except MachineError as error:
            tell(str(error))
"""
    assert run_harness(lone_workplace, source) == [
        "port 8080 open",
        "machine: service a: ended with status 4, and 'good (' is not in its log\nits log:\n  bad",
        "machine: service b: 'good (' was not in its log within 0.3 s\nit wrote nothing",
    ]


def test_service_that_ignores_the_end_is_killed_with_its_session(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    ignoring = "trap '' TERM; sleep 600 & echo up; while :; do sleep 1; done"
    service = machine.start(ignoring)
    service.wait_for_log("up", timeout=20)
    tell(service.stop(grace=0.2))
    left = machine.start("trap '' TERM; sleep 600 & echo up; exit 0")
    left.wait(timeout=20)
    tell(left.stop(grace=0.2))
    stopped = machine.start("kill -STOP $$; sleep 600")
    tell(stopped.stop(grace=5))
    tell(machine.execute("ps | grep -c '[s]leep'").stdout)
"""
    assert run_harness(workplace, source) == [137, 0, 143, "0\n"]


def test_services_end_with_the_machine(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    asked = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.02; done"
    service = machine.start(asked)
    service.wait_for_log("up", timeout=20)
    machine.reboot()
    tell([service.status, service.log().split()[-1]])
    tell(machine.execute("ps | grep -c '[s]leep'").stdout)
try:
    service.log()
except MachineError as error:
    tell("was not started" in str(error))
"""
    assert run_harness(lone_workplace, source) == [[7, "bye"], "0\n", True]


def test_log_keeps_its_end_and_says_what_it_dropped(lone_workplace: Workplace) -> None:
    source = """
import re
with Machine("base.tar") as machine:
    service = machine.start("dd if=/dev/zero bs=1024 count=20480; echo; echo end")
    service.wait(timeout=60)
    first, *rest = service.log().splitlines()
    dropped = int(re.fullmatch("\\\\[([0-9]+) bytes before this were dropped\\\\]", first)[1])
    more = dropped + len(rest[0]) - (20 << 20)  # what dd says behind it
    tell([4 << 20 <= len(rest[0]) <= 8 << 20, 0 < more < 100, rest[-1]])
"""
    assert run_harness(lone_workplace, source) == [[True, True, "end"]]


def test_many_threads_start_services_at_once(lone_workplace: Workplace) -> None:
    source = """
from concurrent.futures import ThreadPoolExecutor
def run(number):
    service = machine.start(f"echo {number}; exec sleep 600")
    line = service.wait_for_log(str(number), timeout=60)
    return [line, service.stop(), service.name]
with Machine("base.tar") as machine, ThreadPoolExecutor(8) as pool:
    told = list(pool.map(run, range(40)))
    tell([line for line, _, _ in told])
    tell([{status for _, status, _ in told} == {143}, len({name for *_, name in told})])
"""
    numbers: list[object] = [str(number) for number in range(40)]
    assert run_harness(lone_workplace, source) == [numbers, [True, 40]]


def test_every_user_can_open_the_output_by_name(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    command = "echo out > /dev/stdout; echo err > /dev/stderr"
    tell(machine.execute(command, user="app"))
    service = machine.start(command, user="app")
    service.wait(timeout=20)
    tell(service.log())
"""
    assert run_harness(workplace, source) == [[0, "out\n", "err\n"], "out\nerr\n"]


def test_services_that_have_ended_hold_no_descriptor(lone_workplace: Workplace) -> None:
    source = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with Machine("base.tar") as machine:
    silent = machine.start("sleep 600")
    for number in range(60):
        machine.start("echo some; exit 3").wait(timeout=20)
        try:
            silent.wait_for_log("some", timeout=0.001)
        except MachineTimeoutError:
            pass
        try:
            machine.start("true", cwd="/missing")
        except CommandError:
            pass
    tell(machine.succeed("echo alive"))
"""
    assert run_harness(lone_workplace, source) == ["alive\n"]
