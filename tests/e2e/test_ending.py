"""How a run ends: the script's status, signals, kills and what is left then: nothing."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.support.program import clean_environment, installation
from tests.support.require import require_program
from tests.support.users import processes_of
from tests.support.workplace import Workplace, content_of

pytestmark = pytest.mark.userns

STOP_LIMIT_S = 20
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def start(
    workplace: Workplace, *arguments: str | Path, stdin: int | None, below: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start rootrun in a session of its own, below the program ``below``."""
    account = workplace.account
    return subprocess.Popen(
        [*below, installation() / "bin" / "rootrun", *arguments],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env=clean_environment(account),
        cwd=workplace.path,
        stdin=stdin,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


@contextmanager
def running(workplace: Workplace, script: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run and wait until its script says ``ready``; kill it at the end."""
    workplace.base()
    workplace.write("setup.sh", script)
    scratch = workplace.path / "scratch"
    scratch.mkdir(exist_ok=True)
    workplace.own(scratch)
    arguments = ("--from", "base.tar", "--script", "setup.sh", "-o", "out.tar")
    process = start(workplace, *arguments, "--tmpdir", scratch, stdin=None)
    try:
        assert process.stderr is not None
        while b"ready" not in (line := process.stderr.readline()):
            assert line, "the run ended before its script was ready"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def members_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return all processes of a run."""
    return psutil.Process(process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    """Fail unless all of these end by themselves."""
    _, alive = psutil.wait_procs(processes, timeout=STOP_LIMIT_S)
    assert alive == []


@pytest.mark.parametrize("status", [1, 7, 125, 126, 127, 255])
def test_ac49_the_script_s_status_is_rootrun_s_and_nothing_is_left(
    status: int, any_workplace: Workplace
) -> None:
    any_workplace.base()
    script = f"mkdir -p /a/b; chmod 000 /a/b /a; mkdir -m 555 /c; exit {status}\n"
    any_workplace.write("setup.sh", script)
    scratch = any_workplace.path / "scratch"
    scratch.mkdir()
    any_workplace.own(scratch)
    args = ("--script", "setup.sh", "-o", "out.tar", "--tmpdir", "scratch")
    done = any_workplace.run("--from", "base.tar", *args)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr
    assert not (any_workplace.path / "out.tar").exists()
    assert list(scratch.iterdir()) == []


def test_ac49_a_script_that_a_signal_kills_is_128_and_the_signal(workplace: Workplace) -> None:
    workplace.base()
    done = workplace.run("--from", "base.tar", "-o", "o.tar", "--", "sh", "-c", "kill -TERM $$")
    assert done.returncode == 128 + signal.SIGTERM
    assert not (workplace.path / "o.tar").exists()


def test_ac49_a_timeout_ends_the_script_and_names_the_limit(any_workplace: Workplace) -> None:
    any_workplace.base()
    command = ("--timeout", "1s", "--", "sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    done = any_workplace.run("--from", "base.tar", "-o", "o.tar", *command)
    assert done.returncode == 124
    assert b"timeout" in done.stderr
    assert not (any_workplace.path / "o.tar").exists()


@pytest.mark.parametrize("number", STOPPING)
def test_ac49_a_signal_ends_everything(number: signal.Signals, any_workplace: Workplace) -> None:
    script = "sleep 1000 & (setsid sleep 1000 &)\necho ready >&2; wait\n"
    with running(any_workplace, script) as process:
        family = members_of(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=STOP_LIMIT_S)
        assert process.returncode == 128 + number
        assert b"Traceback" not in errors
        assert_gone(family)
        assert not (any_workplace.path / "out.tar").exists()
        assert list((any_workplace.path / "scratch").iterdir()) == []


@pytest.mark.parametrize("numbers", [STOPPING[:1], STOPPING[1:3]], ids=["once", "twice"])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to it", "to its group"])
def test_signals_end_a_script_that_ignores_them(
    send: Callable[[int, int], None],
    numbers: Sequence[signal.Signals],
    any_workplace: Workplace,
) -> None:
    script = "trap '' INT TERM HUP QUIT\n(setsid sleep 1000 &)\necho ready >&2\n"
    with running(any_workplace, script + "while :; do sleep 1; done\n") as process:
        family = members_of(process)
        for number in numbers:
            send(process.pid, number)
        _, errors = process.communicate(timeout=STOP_LIMIT_S)
        assert process.returncode in {128 + number for number in numbers}
        assert b"Traceback" not in errors
        assert_gone(family)
        assert not (any_workplace.path / "out.tar").exists()
        assert list((any_workplace.path / "scratch").iterdir()) == []


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_ends_the_reading_of_the_image(
    number: signal.Signals, workplace: Workplace
) -> None:
    (workplace.path / "scratch").mkdir()
    workplace.own(workplace.path / "scratch")
    arguments = ("--from", "-", "--tmpdir", "scratch", "-o", "out.tar", "--", "true")
    with start(workplace, *arguments, stdin=subprocess.PIPE) as process:
        while not any((workplace.path / "scratch").iterdir()):
            assert process.poll() is None
        process.send_signal(number)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert (process.returncode, errors) == (128 + number, b"")
    assert os.listdir(workplace.path / "scratch") == []


@pytest.mark.parametrize("is_lone", [False, True], ids=["subids", "single"])
def test_a_fork_bomb_ends_at_the_timeout(is_lone: bool, request: pytest.FixtureRequest) -> None:
    place: Workplace = request.getfixturevalue("lone_workplace" if is_lone else "workplace")
    place.base()
    bomb = "bomb() { bomb | bomb & }; bomb; sleep 1000"
    arguments = ("--from", "base.tar", "-o", "o.tar", "--timeout", "3s", "--", "sh", "-c", bomb)
    # The machine is others' too.
    limit = ("prlimit", "--nproc=200")
    with start(place, *arguments, below=limit, stdin=subprocess.DEVNULL) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 124, errors.decode()
    assert b"Traceback" not in errors
    assert place.account is not None
    assert processes_of(place.account) == []


def test_a_kill_leaves_no_process_no_mount_and_no_output(any_workplace: Workplace) -> None:
    with running(any_workplace, "sleep 1000 &\necho ready >&2; wait\n") as process:
        family = members_of(process)
        process.kill()
        assert_gone(family)
        assert not (any_workplace.path / "out.tar").exists()
        assert "rootrun" not in Path("/proc/self/mounts").read_text()


@pytest.mark.root
def test_a_kill_of_the_monitor_before_init_is_tied_to_it_ends_the_run(
    lone_workplace: Workplace,
) -> None:
    lone_workplace.base()
    account = lone_workplace.account
    assert account is not None
    # Each process ties its life to its parent's by its first prctl(2), which takes a second.
    delay = ("-e", "trace=prctl", "-e", "inject=prctl:delay_enter=1000000:when=1")
    tracer = (os.fspath(require_program("strace")), "-f", "-u", account.name, "-o", "/dev/null")
    program = os.fspath(installation() / "bin" / "rootrun")
    with subprocess.Popen(
        [*tracer, *delay, program, "--from", "base.tar", "-o", "out.tar", "--", "sleep", "1000"],
        env=clean_environment(account),
        cwd=lone_workplace.path,
        stderr=subprocess.PIPE,
    ) as process:
        while not (monitors := monitors_below(process)):
            assert process.poll() is None
        everyone = psutil.Process(process.pid).children(recursive=True)
        monitors[0].kill()
        try:
            _, errors = process.communicate(timeout=STOP_LIMIT_S)
        finally:
            for member in everyone:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
    assert process.returncode == 125
    assert b"rootrun: error: run container: its monitor process: was killed" in errors


def monitors_below(tracer: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the children of the main process below ``tracer`` that lead a session of others."""
    family = psutil.Process(tracer.pid).children(recursive=True)
    found = []
    for member in family:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(member.pid) == member.pid and member.children():
                found.append(member)
    return found


def test_what_a_killed_run_left_is_removed_by_a_later_one(any_workplace: Workplace) -> None:
    with running(any_workplace, "echo > /x\necho ready >&2; sleep 1000\n") as process:
        process.kill()
        process.wait()
    scratch = any_workplace.path / "scratch"
    assert len(list(scratch.iterdir())) == 1
    any_workplace.build("echo > /x\n", "--tmpdir", scratch)
    assert list(scratch.iterdir()) == []


def test_daemons_end_with_the_script(any_workplace: Workplace) -> None:
    sleep = f"sleep {1_000_000 + os.getpid()}"  # no other test has it
    script = f"(setsid sh -c 'trap \"\" TERM HUP; {sleep}' >/dev/null 2>&1 &)\n({sleep} &)\n"
    any_workplace.build(script)
    # With the caller's pipes open the run itself would have waited for them.
    sleepers = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == sleep.split()]
    assert sleepers == []


def test_ac50_kill_all_reaches_nothing_outside(any_workplace: Workplace) -> None:
    with running(any_workplace, "echo ready >&2; sleep 1000\n") as bystander:
        output = any_workplace.build("kill -9 -1 || :; echo alive > /said\n", output="o.tar")
        assert content_of(output, "said") == b"alive\n"
        assert bystander.poll() is None


def test_several_scripts_run_in_order_and_leftovers_end_between_them(
    any_workplace: Workplace,
) -> None:
    any_workplace.base()
    any_workplace.write("1.sh", "echo one > /said; (sleep 1000 >/dev/null 2>&1 &)\n")
    any_workplace.write("2.sh", "ps | grep -c 'sleep 100[0]' >> /said || :\n")
    scripts = ("--script", "1.sh", "--script", "2.sh")
    done = any_workplace.run("--from", "base.tar", *scripts, "-o", "o.tar")
    assert done.returncode == 0, done.stderr.decode()
    assert content_of(any_workplace.path / "o.tar", "said") == b"one\n0\n"
