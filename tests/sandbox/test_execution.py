"""How steps start and end: interpreters, statuses, order."""

from pathlib import Path

import pytest

from tests.sandbox.conftest import Run

pytestmark = pytest.mark.userns


@pytest.mark.parametrize("status", [0, 1, 7, 125, 126, 127, 255])
def test_exit_status_is_the_scripts_own(status: int, run: Run) -> None:
    assert run(f"exit {status}").status == status


def test_signal_that_ends_the_script_is_told(run: Run) -> None:
    ran = run("kill -SEGV $$")
    assert (ran.answer["exit_status"], ran.answer["signal_number"]) == (None, 11)


def test_script_without_shebang_stops_at_the_first_failure(run: Run) -> None:
    ran = run("echo one\nfalse\necho two")
    assert (ran.output, ran.status) == ("one\n", 1)


def test_shebang_is_honoured_with_its_argument(run: Run) -> None:
    ran = run("#!/bin/awk -f\nBEGIN { print ARGV[0], 6 * 7 }")
    assert ran.output == "awk 42\n"


def test_binary_is_executed_as_it_is(run: Run) -> None:
    ran = run(Path("/bin/busybox").read_bytes().decode(errors="surrogateescape"))
    assert "script-1: applet not found" in ran.output


@pytest.mark.parametrize(
    ("script", "message", "hint"),
    [
        ("#!/usr/bin/python9\n", "/usr/bin/python9: not found in the image", "static shell"),
        ("#!/bin/sh\r\necho hi\r\n", r"'/bin/sh\r': not found in the image", "CR LF"),
    ],
    ids=["interpreter", "line ends of windows"],
)
def test_missing_interpreter_is_named(script: str, message: str, hint: str, run: Run) -> None:
    ran = run(script)
    assert ran.error == f"CommandNotFoundError: run 1.sh: {message}"
    assert ran.answer["exit"] == 127
    assert hint in str(ran.answer["hint"])


def test_missing_shell_is_named_with_a_way_out(run: Run, busybox_root: Path) -> None:
    (busybox_root / "bin" / "sh").unlink()
    ran = run("echo hi")
    assert ran.error == "CommandNotFoundError: run 1.sh: /bin/sh: not found in the image"
    assert "static shell" in str(ran.answer["hint"])


def test_missing_loader_of_the_shell_is_told(run: Run, busybox_root: Path) -> None:
    (busybox_root / "bin" / "sh").unlink()
    (busybox_root / "bin" / "sh").write_bytes(Path("/bin/dash").resolve().read_bytes())
    (busybox_root / "bin" / "sh").chmod(0o755)
    assert "/bin/sh: needs a loader, which is not in the image" in run("echo hi").error


@pytest.mark.parametrize("command", ["nothing-like-it", "/bin/nothing", "/bin/busybox/sh"])
def test_missing_command_is_127(command: str, run: Run) -> None:
    ran = run(command=[command])
    assert ran.error == f"CommandNotFoundError: run {command}: not found in the image"
    assert ran.answer["exit"] == 127


def test_command_is_found_on_the_path_of_its_environment(run: Run, busybox_root: Path) -> None:
    (busybox_root / "tmp" / "echo").symlink_to("/bin/busybox")
    ran = run(command=["echo", "a b"], environment={"PATH": "/nowhere::/bin/sh:/tmp"})
    assert ran.output == "a b\n"


@pytest.mark.parametrize(
    ("mode", "content", "why"),
    [(0o644, b"#!/bin/sh\n", "Permission denied"), (0o755, b"junk", "Exec format error")],
    ids=["not executable", "no format"],
)
def test_command_that_cannot_be_executed_is_126(
    mode: int, content: bytes, why: str, run: Run, busybox_root: Path
) -> None:
    path = busybox_root / "bin" / "tool"
    path.write_bytes(content)
    path.chmod(mode)
    ran = run(command=["tool"])
    assert ran.error == f"CommandNotExecutableError: run tool: /bin/tool: {why}"
    assert ran.answer["exit"] == 126


def test_steps_run_in_order_until_one_fails(run: Run) -> None:
    ran = run("echo 1", "echo 2; exit 5", "echo 3")
    assert (ran.output, ran.status, ran.answer["step"]) == ("1\n2\n", 5, 1)


def test_leftovers_of_a_step_are_gone_before_the_next(run: Run) -> None:
    ran = run("sleep 1000 & setsid sleep 1000 & exit 0", "echo /proc/[0-9]*")
    processes = ran.output.split()
    assert processes[0] == "/proc/1"
    assert len(processes) == 2


def test_files_of_a_step_are_there_for_the_next(run: Run) -> None:
    assert run("echo kept > /tmp/f", "cat /tmp/f").output == "kept\n"


def test_working_directory_is_where_the_step_starts(run: Run) -> None:
    assert run("pwd", working_directory="/tmp").output == "/tmp\n"


@pytest.mark.parametrize("path", ["/nowhere", "/proc/self/fd/3", "/proc/1/cwd", "/bin/sh"])
def test_working_directory_that_is_none_is_an_error(path: str, run: Run) -> None:
    assert run("pwd", working_directory=path).error.startswith(
        f"SandboxError: working directory: {path}: "
    )


def test_outcome_tells_what_was_used(run: Run) -> None:
    ran = run("seq 300000 | tail -n 1")
    assert 0 < float(str(ran.answer["cpu_s"])) < 60
    assert int(str(ran.answer["peak_memory_bytes"])) > 1 << 20
