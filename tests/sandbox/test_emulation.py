"""Steps under a filter that asks the main process."""

import os
import select
import signal
import sys
from pathlib import Path

import pytest

from rootrun.sandbox.emulation import Supervision
from rootrun.sandbox.packets import open_packets, send_packet, socket_of
from tests.sandbox.conftest import Caller, Make, Run
from tests.sandbox.containers import finish, start
from tests.sandbox.inside import run_inside
from tests.sandbox.programs import i386_program
from tests.support.program import installation
from tests.support.require import require
from tests.support.users import Account

pytestmark = pytest.mark.userns

_CHOWN = "chown 1:2 /etc/passwd"


def test_calls_are_answered_by_the_main_process(run_as_caller: Run) -> None:
    ran = run_as_caller(
        f"{_CHOWN}\nmknod /dev/shm/x b 8 1; mknod /dev/shm/y p; ls /dev/shm", emulator="agree"
    )
    assert ran.status == 0
    asked, device, listed = ran.output.splitlines()
    assert asked.endswith("chown /etc/passwd (1, 2)")
    assert device == f"asked mknodat /dev/shm/x ({0o60666}, {8 << 8 | 1})"
    assert listed == "y"
    assert (ran.answer["children"], ran.answer["leaked"]) == (False, 0)


def test_call_fails_with_the_error_of_the_answer(run: Run) -> None:
    assert "chown: /etc/passwd: Invalid cross-device link" in run(_CHOWN, emulator="refuse").output


def test_call_that_is_let_through_is_the_kernels(wanted: Make, lone: Account) -> None:
    ran = finish(start(wanted(_CHOWN, account=lone, emulator="let through"), account=lone))
    assert "chown: /etc/passwd: Invalid argument" in ran.output


def test_each_step_has_its_listener(run: Run) -> None:
    steps = [f"chown {number}:0 /etc/passwd" for number in (1, 2, 3)]
    ran = run(*steps, emulator="agree")
    assert [line[-6:] for line in ran.output.splitlines()] == ["(1, 0)", "(2, 0)", "(3, 0)"]
    assert (ran.status, ran.answer["leaked"]) == (0, 0)


def test_daemon_of_a_step_is_answered_beside_the_step(run: Run) -> None:
    script = f"for n in $(seq 20); do {_CHOWN} & done; {_CHOWN}; wait"
    assert run(script, emulator="agree").output.count("asked") == 21


def test_answer_to_a_killed_caller_is_no_error(run: Run) -> None:
    ran = run(f"{_CHOWN} || echo status $?", emulator="kill")
    assert ran.output.splitlines()[1:] == ["alive True", "Killed", "status 137"]


def test_container_that_is_killed_before_it_is_acknowledged_has_just_ended() -> None:
    class Emulator:
        traps = False

    receiver, sender = open_packets()
    supervision = Supervision(Emulator(), receiver)  # type: ignore[arg-type]  # it never serves
    step, poller = socket_of(sender), select.poll()
    reader, writer = os.pipe()
    with supervision.watching(poller):
        send_packet(step, b"l", [reader])
        supervision.attend(receiver, select.POLLIN, poller)
        step.close()  # with the answer unread
        supervision.attend(receiver, select.POLLIN, poller)
        assert receiver not in [fd for fd, _ in poller.poll(0)]
    supervision.close()
    os.close(reader)
    os.close(writer)


def test_error_of_the_emulator_ends_the_container(run_as_caller: Run) -> None:
    ran = run_as_caller(f"sleep 1000 & {_CHOWN}", emulator="break")
    assert ran.error == "SandboxError: emulate root: ValueError: broken"
    assert (ran.answer["children"], ran.answer["leaked"]) == (False, 0)


def test_timeout_ends_a_call_that_is_never_answered(run: Run) -> None:
    ran = run(_CHOWN, emulator="forget", timeout_s=0.3)
    assert "1.sh: longer than the timeout" in ran.error
    assert ran.answer["children"] is False


def test_timeout_ends_a_script_that_never_stops_asking(run: Run) -> None:
    endless = f"while :; do {_CHOWN}; done"
    ran = run(f"{endless} & {endless} & {endless}", emulator="agree", timeout_s=0.3)
    assert "1.sh: longer than the timeout" in ran.error


def test_calls_are_answered_after_a_signal(wanted: Make) -> None:
    script = f"trap '{_CHOWN}; echo cleaned; exit' TERM; echo set; sleep 1000 & wait"
    process = start(wanted(script, emulator="agree"))
    assert process.stderr is not None
    assert process.stderr.readline() == b"set\n"
    process.send_signal(signal.SIGTERM)
    ran = finish(process)
    assert ran.error == "Interrupted: 15"
    assert ran.output.endswith("(1, 2)\ncleaned\n")


def test_step_of_another_user_is_no_root(wanted: Make, tester: Account) -> None:
    request = wanted(_CHOWN, account=tester, user="daemon", emulator="agree")
    ran = finish(start(request, account=tester))
    assert ran.output == "chown: /etc/passwd: Operation not permitted\n"


def test_filter_without_a_listener_needs_nobody(run_as_caller: Run) -> None:
    script = "cd /dev/shm; touch y; chown 1:2 y && mknod x c 1 3 && stat -c %n:%u:%g *"
    ran = run_as_caller(script, emulator="fast")
    assert (ran.output, ran.status, ran.answer["leaked"]) == ("y:0:0\n", 0, 0)


def test_script_has_no_descriptor_of_ours(run_as_caller: Run) -> None:
    ran = run_as_caller(command=["ls", "/proc/self/fd"], emulator="agree")
    assert ran.output.split() == ["0", "1", "2", "3"]  # 3 is that of ls itself


@pytest.mark.parametrize(
    ("emulator", "number", "told"),
    [
        pytest.param("agree", 212, "asked chown32 /etc/passwd (1, 2)\n", id="chown32"),
        pytest.param("agree", 182, "asked chown /etc/passwd (1, 2)\n", id="chown of 16 bits"),
        pytest.param("fast", 208, "", id="setresuid32"),
    ],
)
def test_program_of_32_bits_is_answered(
    emulator: str, number: int, told: str, caller: Caller, wanted: Make, busybox_root: Path
) -> None:
    program = busybox_root / "bin" / "i386"
    program.write_bytes(i386_program(number, b"/etc/passwd", 1, 2))
    program.chmod(0o755)
    request = wanted("i386; echo status $?", account=caller.account, emulator=emulator)
    ran = finish(start(request, account=caller.account))
    require("Exec format error" not in ran.output, "the kernel runs no programs of 32 bits")
    assert ran.output == f"{told}status 0\n"


def _emulate_below_another() -> None:
    from rootrun.fakeroot.filters import FilterPlan, filter_program
    from rootrun.fakeroot.level import Level
    from rootrun.sandbox.emulation import emulate
    from rootrun.sandbox.syscalls import install_filter

    class Emulator:
        traps = False
        wants_listener = True
        program = filter_program(FilterPlan(level=Level.RECORD, is_lone=False))
        fallback_program = filter_program(FilterPlan(level=Level.FAST))

    Path("file").touch()
    install_filter(Emulator.program, 8)
    sys.stdout.write(f"{emulate(Emulator(), -1)}\n")  # type: ignore[arg-type]  # it never serves
    os.chown("file", 5, 6)
    os.setgroups([7])
    os.setresuid(8, 8, 8)
    sys.stdout.write(f"{os.stat('file').st_uid} {os.getuid()}")
    os.unlink("file")


def test_second_listener_falls_back_with_a_warning(lone: Account) -> None:
    warning, seen = run_inside(_emulate_below_another, account=lone).splitlines()
    assert warning == (
        "emulate root: something else answers system calls here already: "
        "owners and devices will not be remembered"
    )
    assert seen == "0 0"


def _emulate_without_fallback() -> None:
    from rootrun.fakeroot.filters import FilterPlan, filter_program
    from rootrun.fakeroot.level import Level
    from rootrun.sandbox.emulation import emulate
    from rootrun.sandbox.syscalls import install_filter

    class Emulator:
        traps = False
        wants_listener = True
        program = filter_program(FilterPlan(level=Level.RECORD, is_lone=False))
        fallback_program = b""

    install_filter(Emulator.program, 8)
    filters = Path("/proc/self/status").read_text().partition("Seccomp_filters:")[2].split()[0]
    sys.stdout.write(f"{emulate(Emulator(), -1)}\n")  # type: ignore[arg-type]  # it never serves
    after = Path("/proc/self/status").read_text().partition("Seccomp_filters:")[2].split()[0]
    sys.stdout.write(f"{int(after) - int(filters)}")


def test_second_listener_with_nothing_to_fall_back_to_is_told(lone: Account) -> None:
    warning, more = run_inside(_emulate_without_fallback, account=lone).splitlines()
    assert "something else answers system calls here already: " in warning
    assert more == "0"


_UNDER_A_FILTER = """\
import os, sys
sys.path.insert(0, sys.argv[1])
from rootrun.sandbox import bpf
from rootrun.sandbox.syscalls import install_filter
from rootrun.sandbox.syscalls.own import _SECCOMP_NUMBERS
seccomp = _SECCOMP_NUMBERS[os.uname().machine] if sys.argv[2] == "forbidding" else -1 & 0xFFFF
answer = bpf.RETURN_SUCCESS | 1 if sys.argv[2] == "forbidding" else bpf.RETURN_NOTIFY
hit = bpf.jump_if_equal(seccomp, "hit")
program = [bpf.load(0), hit, bpf.answer(bpf.RETURN_ALLOW), "hit", bpf.answer(answer)]
listener = install_filter(bpf.assemble(program), 0 if sys.argv[2] == "forbidding" else 8)
os.set_inheritable(listener, True)
os.execv(sys.argv[3], sys.argv[3:])
"""


def _under(kind: str) -> list[str]:
    libraries = os.fspath(installation() / "lib")
    return [sys.executable, "-I", "-c", _UNDER_A_FILTER, libraries, kind]


@pytest.mark.root
def test_fallback_is_told_once_for_all_steps(wanted: Make) -> None:
    steps = [f"{_CHOWN} && stat -c %u /etc/passwd"] * 2
    ran = finish(start(wanted(*steps, emulator="agree"), under=_under("listening")))
    *owners, warning = sorted(ran.output.splitlines())  # written in any order
    assert warning.startswith("emulate root: ")
    assert owners == ["0", "0"]


@pytest.mark.root
@pytest.mark.parametrize("emulator", ["agree", "fast"])
def test_script_runs_without_emulation_where_filters_are_forbidden(
    emulator: str, wanted: Make
) -> None:
    request = wanted("mknod /dev/x b 1 1", emulator=emulator)
    ran = finish(start(request, under=_under("forbidding")))
    assert sorted(ran.output.splitlines()) == [  # main and script write in any order
        "deny system calls: seccomp: Operation not permitted: none is denied",
        "emulate root: seccomp: Operation not permitted: chown and mknod will fail",
        "mknod: /dev/x: Operation not permitted",
    ]
