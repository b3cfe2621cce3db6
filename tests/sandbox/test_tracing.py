"""Steps under a filter that traps, below another one that refuses the same calls (as Nix's)."""

import os
import shutil
import struct
import sys
from pathlib import Path

import pytest

from rootrun.sandbox import ptrace
from tests.sandbox.conftest import Caller, Make, Run
from tests.sandbox.containers import Ran, finish, start
from tests.sandbox.programs import compile_tracee, i386_program
from tests.support.program import installation
from tests.support.require import require, require_program
from tests.support.users import Account

pytestmark = [
    pytest.mark.userns,
    pytest.mark.root,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86-64"),
]

# As root it needs no no_new_privs, under which newuidmap gives nothing.
_REFUSING = """\
import os, struct, sys
sys.path.insert(0, sys.argv[1])
from rootrun.sandbox.syscalls import install_filter
program = []
for arch, number, code in eval(sys.argv[2]):
    program += [(0x20, 0, 0, 4), (0x15, 0, 3, arch), (0x20, 0, 0, 0), (0x15, 0, 1, number)]
    program += [(0x06, 0, 0, 0x50000 | code)]
program.append((0x06, 0, 0, 0x7FFF0000))
install_filter(b"".join(struct.pack("=HBBI", *fields) for fields in program), 0)
if sys.argv[3]:
    os.setgroups([])
    os.setresgid(*[int(sys.argv[4])] * 3)
    os.setresuid(*[int(sys.argv[3])] * 3)
os.execv(sys.argv[5], sys.argv[5:])
"""
_X86_64, _I386 = 0xC000003E, 0x40000003
_PTRACE = (_X86_64, 101, 1)
_SETS = [(_X86_64, 90, 1), (_X86_64, 268, 1), (_X86_64, 188, 95), (_I386, 15, 1), (_I386, 226, 95)]


def _under(account: Account | None, *refused: object) -> list[str]:
    libraries = os.fspath(installation() / "lib")
    ids = [str(account.uid), str(account.gid)] if account else ["", ""]
    return [sys.executable, "-I", "-c", _REFUSING, libraries, repr(refused), *ids]


@pytest.fixture(scope="module")
def _tracee(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_tracee(tmp_path_factory.mktemp("tracee"))


@pytest.fixture
def run(wanted: Make, caller: Caller, busybox_root: Path, _tracee: Path) -> Run:
    """Run scripts as each kind of caller in turn, where chmod and setxattr are refused."""
    shutil.copy(_tracee, busybox_root / "bin")

    def run_refused(*scripts: str, refused: object = _SETS[0], **fields: object) -> Ran:
        request = wanted(*scripts, account=caller.account, **{"emulator": "trap agree"} | fields)
        return finish(start(request, under=_under(caller.account, *_SETS, refused)))

    return run_refused


def test_filter_around_us_wins_over_one_that_does_not_trap(run: Run) -> None:
    ran = run("cd /dev/shm; touch x; chmod 4755 x", emulator="agree")
    assert ran.output == "chmod: x: Operation not permitted\n"


def test_trapped_calls_are_answered_by_the_main_process(run: Run) -> None:
    ran = run(
        "cd /dev/shm; touch x; chmod 4755 x; (sh -c 'chmod 2755 x; chown 1:2 x') & wait; echo $?"
    )
    assert ran.output.splitlines() == [
        "trapped chmod x 4755",
        "trapped chmod x 2755",
        *[line for line in ran.output.splitlines() if line.startswith("asked ")],
        "0",
    ]
    assert "asked" in ran.output
    assert (ran.status, ran.answer["children"], ran.answer["leaked"]) == (0, False, 0)


@pytest.mark.parametrize(
    ("size", "told"), [("0", "0 0"), ("7", "7 0"), ("-1", "-1 1"), ("-95", "-1 95")]
)
def test_call_returns_what_the_answer_says(size: str, told: str, run: Run) -> None:
    assert run(command=["tracee", "value", size]).output == f"{told}\n"


@pytest.mark.parametrize("task", ["threads", "many", "blocked", "caught", "forged", "stopped"])
def test_traced_program_sees_what_it_would_see_without(task: str, run: Run) -> None:
    assert run(command=["tracee", task]).status == 0


def test_program_that_a_thread_executes_is_traced(run: Run) -> None:
    ran = run("tracee thread_exec /bin/sh -c 'chmod 4711 /etc/passwd; exit 3'")
    assert (ran.output, ran.status) == ("trapped chmod /etc/passwd 4711\n", 3)


def test_call_of_32_bits_in_a_program_of_64_is_answered(run: Run) -> None:
    ran = run("tracee int80")
    assert (ran.output, ran.status) == ("trapped chmod /low 4711\n", 0)


def test_program_of_32_bits_is_answered(run: Run, busybox_root: Path) -> None:
    program = busybox_root / "bin" / "i386"
    program.write_bytes(i386_program(15, b"/etc/passwd", 0o4711, 0))
    program.chmod(0o755)
    ran = run("i386; echo status $?")
    require("Exec format error" not in ran.output, "the kernel runs no programs of 32 bits")
    assert ran.output == "trapped chmod /etc/passwd 4711\nstatus 0\n"


@pytest.mark.parametrize(
    ("script", "told", "status"),
    [
        ("trap 'chmod 4755 /etc/passwd; echo bye; exit 4' TERM; kill $$; sleep 9", "755", 4),
        ("trap 'chmod 4755 /etc/passwd; exit 4' USR1; (kill -USR1 $$); sleep 9 & wait", "755", 4),
        ("sleep 9 & kill -9 $!; wait $!; exit $?", "Killed", 137),
        ("kill -SEGV $$", "", None),
        ("chmod 4755 /etc/passwd & sleep 9 & kill -9 -1; wait; exit 5", "", 5),
        ("sleep 9 & kill -STOP $!; kill -CONT $!; kill $!; wait $!", "Terminated", 143),
    ],
    ids=["own trap", "trap from another", "kill", "segmentation fault", "kill all", "continue"],
)
def test_signals_do_what_they_do(script: str, told: str, status: int | None, run: Run) -> None:
    ran = run(script)
    assert told in ran.output
    assert ran.status == status


def test_each_step_is_traced(run: Run) -> None:
    ran = run(
        "chmod 4001 /etc/passwd; sleep 1000 &",
        "chmod 4002 /etc/passwd",
        "chmod 4003 /etc/passwd",
        emulator="trap fast",
    )
    assert [line[-1] for line in ran.output.splitlines()] == ["1", "2", "3"]
    assert (ran.status, ran.answer["children"], ran.answer["leaked"]) == (0, False, 0)


def test_timeout_ends_tracees_that_stand_still(run: Run) -> None:
    endless = "while :; do chmod 4755 /etc/passwd; done"
    ran = run(f"sleep 9 & kill -STOP $!; {endless} & {endless}", timeout_s=0.5)
    assert "1.sh: longer than the timeout" in ran.error
    assert (ran.answer["children"], ran.answer["leaked"]) == (False, 0)


def test_error_of_the_answer_ends_the_container(run: Run) -> None:
    ran = run("sleep 1000 & chmod 4755 /etc/passwd; sleep 1000", emulator="trap break")
    assert ran.error == "SandboxError: emulate root: ValueError: broken"
    assert (ran.answer["children"], ran.answer["leaked"]) == (False, 0)


def test_steps_go_untraced_with_a_warning_where_tracing_is_refused(run: Run) -> None:
    ran = run(
        *["touch /dev/shm/x; chmod 4755 /dev/shm/x || chown 1:2 /dev/shm/x"] * 2, refused=_PTRACE
    )
    assert ran.output.count("emulate root: ptrace: Operation not permitted: ") == 1
    assert ran.output.count("chmod: /dev/shm/x: Operation not permitted") == 2
    assert ran.output.count("asked ") == 2
    assert ran.status == 0


def test_steps_go_untraced_below_another_tracer(wanted: Make) -> None:
    request = wanted("chmod 4755 /mnt/file && stat -c %a /mnt/file", emulator="trap agree")
    under = [os.fspath(require_program("strace")), "-f", "-o", "/dev/null"]
    ran = finish(start(request, under=under))
    assert "emulate root: ptrace: Operation not permitted: " in ran.output
    assert "\n4755\n" in f"\n{ran.output}"


def _registers(kind: str, count: int) -> "struct.Struct":
    return struct.Struct(f"={count}{kind}")


@pytest.mark.parametrize(("arch", "kind", "count"), [(0xC00000B7, "Q", 34), (_X86_64, "Q", 27)])
def test_registers_of_each_architecture_have_six_arguments(
    arch: int, kind: str, count: int
) -> None:
    layout = ptrace._LAYOUTS[arch, _registers(kind, count).size]
    assert len({*layout.arguments}) == 6
    assert max(*layout.arguments, layout.result) < count
