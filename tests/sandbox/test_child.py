"""Work in a child: its errors here, its end with ours."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rootrun
from tests.sandbox.inside import run_inside

pytestmark = pytest.mark.userns


def _raise_in_child(kind: str) -> None:
    from rootrun import errors
    from rootrun.errors import RootrunError
    from rootrun.sandbox.child import run_in_child

    def fail() -> None:
        match kind:
            case "script":
                raise errors.ScriptError("a: b", exit_code=7, hint="c")
            case "digest":
                raise errors.DigestMismatchError("ä\udcff\n: b", hint=None)
            case "os":
                os.stat("/nowhere")
            case "bug":
                raise KeyError("x")
            case "killed":
                os.kill(os.getpid(), 9)

    try:
        with run_in_child(fail, name="copy base") as task:
            task.wait()
    except RootrunError as error:
        told = (type(error).__name__, str(error), error.hint, error.exit_code)
        sys.stdout.write(ascii(told))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("script", ("ScriptError", "a: b", "c", 7)),
        ("digest", ("DigestMismatchError", "ä\udcff\n: b", None, 125)),
        ("os", ("SandboxError", "copy base: /nowhere: No such file or directory", None, 125)),
        ("bug", ("SandboxError", "copy base: internal error: KeyError: 'x'", None, 125)),
        ("killed", ("SandboxError", "copy base: its process: was killed", None, 125)),
    ],
)
def test_error_of_the_child_is_raised_here(kind: str, told: tuple[object, ...]) -> None:
    assert run_inside(_raise_in_child, kind) == ascii(told)


def _work_in_child() -> None:
    import select

    from rootrun.sandbox.child import run_in_child

    reader, writer = os.pipe()

    def write() -> None:
        os.write(writer, b"done")

    with run_in_child(write, name="work") as task:
        poller = select.poll()
        poller.register(task, select.POLLIN)
        assert poller.poll(10_000)
        task.wait()
        task.wait()
    sys.stdout.write(os.read(reader, 10).decode())


def test_child_shares_descriptors_and_its_end_can_be_polled() -> None:
    assert run_inside(_work_in_child) == "done"


def _leave_early() -> None:
    import signal

    from rootrun.sandbox.child import run_in_child

    with run_in_child(signal.pause, name="wait for ever"):
        pass
    try:
        os.waitpid(-1, 0)
    except ChildProcessError:
        sys.stdout.write("no child")


def test_child_is_killed_when_nobody_waits_for_it() -> None:
    assert run_inside(_leave_early) == "no child"


_WAIT_IN_CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from rootrun.sandbox.child import run_in_child

def tell_and_wait():
    os.write(1, b"started")
    signal.pause()

with run_in_child(tell_and_wait, name="wait") as task:
    task.wait()
"""


def test_child_ends_with_its_parent() -> None:
    # Its stdout is a pipe that is read to its end, which only comes when all of them are dead.
    argv = [sys.executable, "-I", "-c", _WAIT_IN_CHILD, str(Path(rootrun.__file__).parents[1])]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 7) == b"started"
        process.kill()
        assert process.stdout.read() == b""
