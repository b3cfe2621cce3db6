"""What failures show: output, services, open ports; and what cannot be run at all."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


def test_failure_shows_output_and_services(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.start("echo listening; exec sleep 600", name="web").wait_for_log("listening")
    machine.start("echo oops >&2; exit 3", name="cache").wait()
    try:
        machine.succeed("i=0; while [ $i -lt 150 ]; do i=$((i + 1)); echo line $i; done; exit 4")
    except CommandError as error:
        lines = str(error).splitlines()
        tell([lines[0][-27:], lines[1:3], lines[101:]])
"""
    assert run_harness(lone_workplace, source) == [
        [
            "exit 4: ended with status 4",
            ["stdout (50 lines before these are left out):", "  line 51"],
            [
                "  line 150",
                "service web: is running, its log:",
                "  listening",
                "service cache: ended with status 3, its log:",
                "  oops",
            ],
        ]
    ]


def test_waiting_for_a_port_shows_those_that_are_open(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.start("exec busybox nc -l -p 8080", name="other")
    machine.wait_for_open_port(8080, timeout=20)
    try:
        machine.wait_for_open_port(80, timeout=0.2)
    except MachineTimeoutError as error:
        tell(str(error).splitlines())
"""
    [lines] = run_harness(lone_workplace, source)
    assert isinstance(lines, list)
    assert lines[:2] == ["machine: port 80: is not open: not within 0.2 s", "open ports:"]
    assert "8080" in str(lines[2])
    assert lines[3:] == ["service other: is running, it wrote nothing"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('"true", user="nobody"', "true: run as nobody: user nobody: not in the image's"),
        ('"true", cwd="/missing"', "true: working directory: /missing: No such file or directory"),
        ('"x" * 200000', "of 200000 bytes, of which the kernel takes 131071"),
        ('"a\\0b"', "holds a NUL"),
        ('"true", env={"A": "\\u00e9" * 60000, "B": "\\u00e9" * 60000}', "more than 180000"),
    ],
    ids=["user", "directory", "long", "nul", "environment"],
)
def test_what_cannot_start_is_an_error(
    arguments: str, message: str, lone_workplace: Workplace
) -> None:
    source = f"""
from rootrun.errors import RootrunError
with Machine("base.tar") as machine:
    for run in (machine.execute, machine.start):
        try:
            run({arguments})
        except RootrunError as error:
            tell([type(error).__name__, str(error)])
    tell(machine.succeed("echo alive"))
"""
    *told, alive = run_harness(lone_workplace, source)
    assert alive == "alive\n"
    assert len(told) == 2
    for one in told:
        assert isinstance(one, list)
        assert one[0] in ("CommandError", "UsageError")
        assert message in one[1]
        assert len(one[1]) < 1000


def test_service_without_a_shell_is_an_error(lone_workplace: Workplace) -> None:
    source = """
with Machine("scratch") as machine:
    try:
        machine.start("true")
    except CommandError as error:
        tell(str(error))
"""
    told = "machine: start true: run /bin/sh: not found in the image"
    assert run_harness(lone_workplace, source) == [told]


def test_long_commands_and_binary_output_go_through(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    word = "\\u00e9" * 60000
    tell(machine.succeed(f"echo {word} | wc -c"))
    tell(machine.succeed("printf 'a\\\\377\\\\000b\\\\303\\\\251'"))
    service = machine.start("printf 'a\\\\377b'")
    service.wait()
    tell(service.log())
"""
    assert run_harness(lone_workplace, source) == ["120001\n", "a\\xff\0b\u00e9", "a\\xffb"]
