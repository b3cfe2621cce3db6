"""``rootrun test``: scripts, what is told of them, and that nothing is left."""

import json
import re
from pathlib import Path

import pytest

from tests.support.scripts import ONE, PAIR, outcome_of, run_script
from tests.support.tarball import directory, file, symlink
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns


def test_script_has_its_machines_by_name_on_one_network(any_workplace: Workplace) -> None:
    script = f"""{PAIR}
start_all()
assert [machine.name for machine in machines] == ["server-1", "client"]
with subtest("names"):
    client.succeed("ping -c 1 server-1")
    client.fail(f"ping -c 1 -W 1 {{lan.address_of(client)[:-1]}}99")
t.assertEqual(client.succeed("echo $COLOUR"), "red\\n")
"""
    status, told = outcome_of(any_workplace, script, *any_workplace.options)
    assert status == 0, told
    assert "rootrun: check.py: passed, 1 subtest, " in told


def test_the_script_of_the_readme_runs(workplace: Workplace) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    block = re.search(r"(?:^    .*\n)*^    # /// script\n(?:^    .*\n)*", readme, re.MULTILINE)
    assert block
    web = [symlink(f"bin/{name}", "busybox") for name in ("httpd", "wget")]
    page = [directory("srv"), file("srv/index.html", b"hello\n")]
    workplace.base("web.tar", busybox_layer(*web, *page))
    workplace.base("base.tar", busybox_layer(*web))
    script = "".join(f"{line[4:]}\n" for line in block[0].splitlines())
    status, told = outcome_of(workplace, script)
    assert status == 0, told
    assert told.splitlines()[-1].startswith("rootrun: check.py: passed, 2 subtests")


def test_steps_are_told_as_they_go(lone_workplace: Workplace) -> None:
    script = """
with subtest("outer"):
    with subtest("inner"):
        machine.succeed("true", "hostname")
    log.info("between")
machine.wait_for_file("/etc/passwd", timeout=9)
print("said")
"""
    status, told = outcome_of(lone_workplace, script, *ONE)
    assert status == 0
    lines = [line.partition(" in ")[0].partition(" subtests, ")[0] for line in told.splitlines()]
    assert lines == [
        "subtest: outer",
        "  subtest: inner",
        "    machine: start",
        "    machine: succeed: true; hostname",
        "  subtest: inner: passed",
        "  between",
        "subtest: outer: passed",
        "machine: wait_for_file: /etc/passwd (timeout=9)",
        "said",
        "rootrun: check.py: passed, 2",
    ]


def test_failure_shows_the_lines_of_the_script_and_what_it_knows(workplace: Workplace) -> None:
    script = f"""{PAIR}
web = server_1.start("echo up; echo trouble >&2; sleep 600", name="web")
web.wait_for_log("trouble")
def ask():
    client.succeed("echo tried; exit 7")
ask()
"""
    status, told = outcome_of(workplace, script)
    assert status == 1
    assert "rootrun/testing" not in told
    shown = told[told.index("Traceback") :]
    assert '  File "check.py", line 11, in <module>\n    ask()\n' in shown
    assert '  File "check.py", line 10, in ask\n    client.succeed(' in shown
    assert "stdout:\n  tried\n" in shown
    assert "server-1:\n  service web: is running, its log:\n    up\n    trouble\n" in shown
    assert told.splitlines()[-1] == (
        "rootrun: error: check.py: line 10: client: echo tried; exit 7: ended with status 7"
    )


def test_script_runs_as_a_program_of_python_would(lone_workplace: Workplace) -> None:
    lone_workplace.write("neighbour.py", "def greet(machine): return machine.succeed('hostname')\n")
    script = """
import pickle, sys, threading
from dataclasses import dataclass
from neighbour import greet
@dataclass
class Answer:
    text: str
assert __name__ == "__main__" and __file__ == "check.py"
assert pickle.loads(pickle.dumps(Answer("x"))) == Answer("x")
threads = [threading.Thread(target=greet, args=[machine]) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
serial_stdout_on()
greet(machine)
serial_stdout_off()
greet(machine)
sys.exit()
"""
    status, told = outcome_of(lone_workplace, script, *ONE)
    assert status == 0, told
    assert told.count("machine: succeed: hostname") == 5
    assert told.count("machine # machine") == 1


def test_script_makes_more_machines(lone_workplace: Workplace) -> None:
    script = f"""{PAIR}
client.start()
third = create_machine("base.tar", name="third", options=MachineOptions(environment={{"A": "b"}}))
assert third.succeed("ping -c 1 client >&2; echo $A") == "b\\n"
alone = create_machine("base.tar", name="alone", networks=[])
alone.fail("ping -c 1 client")
assert [machine.name for machine in machines] == ["server-1", "client", "third", "alone"]
create_machine("base.tar", name="third")
"""
    status, told = outcome_of(lone_workplace, script, "--idmap", "single")
    assert status == 125
    assert told.endswith("line 13: machine: 'third': there is one of this name")


@pytest.mark.parametrize(("exit_with", "status"), [("7", 7), ("'why'", 1), ("None", 0)])
def test_script_can_exit_with_a_status(
    exit_with: str, status: int, lone_workplace: Workplace
) -> None:
    script = f"import sys\ntry:\n    sys.exit({exit_with})\nfinally:\n    print('at the end')\n"
    done, told = outcome_of(lone_workplace, script)
    assert done == status
    assert "at the end" in told


def test_failed_assertion_shows_the_values_that_it_names(lone_workplace: Workplace) -> None:
    script = """
def check(answer):
    assert answer == expected
expected = "one"
check("two")
"""
    status, told = outcome_of(lone_workplace, script)
    assert status == 1
    assert "  answer = 'two'\n  expected = 'one'\n" in told
    assert told.endswith("rootrun: error: check.py: line 2: AssertionError")


def test_a_fork_is_one_of_the_machines(lone_workplace: Workplace) -> None:
    script = """
machine.succeed("echo kept > /note")
other = machine.fork(name="other")
machine.succeed("rm /note")
assert other.succeed("cat /note; hostname") == "kept\\nother\\n"
assert machines == [machine, other]
"""
    status, told = outcome_of(lone_workplace, script, *ONE)
    assert status == 0, told
    assert "other: start" not in told
    assert "\nother: succeed: cat /note; hostname\n" in told


def test_keep_going_goes_on_behind_a_failed_subtest(lone_workplace: Workplace) -> None:
    script = """
with subtest("first"):
    machine.succeed("false")
with subtest("second"):
    machine.succeed("true")
"""
    done = run_script(lone_workplace, script, *ONE, "--keep-going", "--json", "-q")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [(part["name"], part["passed"]) for part in told["subtests"]] == [
        ("first", False),
        ("second", True),
    ]
    assert (told["passed"], told["machines"]) == (False, ["machine"])
    reason = "machine: false: ended with status 1"
    assert told["failures"] == [{"line": 2, "reason": reason}]
    assert f"check.py: line 2: {reason}" in done.stderr.decode()


def test_a_script_of_the_driver_of_nixos_runs_with_few_changes(workplace: Workplace) -> None:
    script = f"""{PAIR.replace("server-1", "server")}
start_all()

# was: server.wait_for_unit("nc.service")
server.start("while true; do echo pong > /tmp/answer; sleep 0.1; done")
server.wait_for_file("/tmp/answer")
server.wait_until_succeeds("grep pong /tmp/answer")

with subtest("the client finds the server"):
    client.wait_until_succeeds("ping -c 1 server")
    status, out, _ = client.execute("echo hello; exit 3")
    assert status == 3
    assert "hello" in out

with subtest("what a crash leaves"):
    server.succeed("echo kept > /root/file; sync")
    server.crash()
    server.fail("ps | grep '[s]leep 0.1'")
    assert "kept" in server.succeed("cat /root/file")

def is_there(last_try: bool) -> bool:
    return client.execute("test -e /etc/hosts").status == 0

retry(is_there, 10)
server.shutdown()
client.fail("ping -c 1 -W 1 server")
client.shutdown()
join_all()
"""
    status, told = outcome_of(workplace, script)
    assert status == 0, told


def test_prompt_has_the_machines_and_runs_the_script(lone_workplace: Workplace) -> None:
    typed = (
        b"machine.succeed('hostname')\ntest_script()\nprint(out, file=sys.stderr)\n1/0\nexit(4)\n"
    )
    script = "import sys\nout = machine.succeed('echo of the script')\nmachine.succeed('exit 9')\n"
    status, told = outcome_of(lone_workplace, script, *ONE, "--interactive", stdin=typed)
    assert status == 4
    assert "machines: machine" in told
    assert "check.py: line 3: machine: exit 9: ended with status 9" in told
    assert "of the script\n" in told
    assert "ZeroDivisionError" in told
