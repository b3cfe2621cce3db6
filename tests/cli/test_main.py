"""The exit status and the lines of every way to end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rootrun import __version__
from rootrun.cli import main as main_module
from rootrun.errors import (
    CommandNotExecutableError,
    CommandNotFoundError,
    ImageError,
    ScriptError,
    ScriptTimeoutError,
)
from tests.cli.command_line import call
from tests.support.program import installation, run_python, run_rootrun


def test_version_is_one_parsable_line() -> None:
    for flag in ("-V", "--version"):
        done = run_rootrun([flag])
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode() == f"rootrun {__version__}\n"


def test_version_among_other_options_is_the_version() -> None:
    assert call("-q", "--version").stdout == f"rootrun {__version__}\n"


def test_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rootrun", "--version"], capture_output=True, check=True
    )
    assert done.stdout.startswith(b"rootrun ")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ImageError("read image: x.tar: truncated"), 125),
        (ScriptError("run script: x.sh: status 7", exit_code=7), 7),
        (ScriptTimeoutError("run script: x.sh: longer than 5 s"), 124),
        (CommandNotExecutableError("run command: x: Permission denied"), 126),
        (CommandNotFoundError("run command: x: not found"), 127),
    ],
    ids=["rootrun failed", "script failed", "timeout", "not executable", "not found"],
)
def test_each_error_has_its_status_and_one_line(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_module.status_of(error) == status
    captured = capsys.readouterr()
    assert captured.err == f"rootrun: error: {error}\n"
    assert captured.out == ""


def test_hint_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    main_module.status_of(ImageError("what: which: why", hint="do this"))
    assert capsys.readouterr().err.splitlines()[1:] == ["rootrun: hint: do this"]


def test_control_characters_of_a_name_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main_module.status_of(ImageError("read image: a\n\x1b[31mb: gone"))
    assert capsys.readouterr().err == "rootrun: error: read image: a\\n\\x1b[31mb: gone\n"


def test_unknown_exception_is_one_line_and_asks_for_a_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main_module.status_of(ZeroDivisionError("division by zero")) == 125
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "rootrun: error: internal error: ZeroDivisionError: division by zero"
    assert lines[1:] == ["rootrun: hint: please report it, with what --debug shows"]


def test_debug_shows_the_traceback_below_the_error() -> None:
    outcome = call("--debug", "--script", "no-such-file")
    assert outcome.status == 125
    assert outcome.stderr.startswith("rootrun: error: --script: 'no-such-file': ")
    assert "Traceback (most recent call last)" in outcome.stderr


def test_debug_of_the_command_is_not_ours() -> None:
    assert "Traceback" not in call("--bogus", "--", "tool", "--debug").stderr


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=str
)
def test_signal_ends_in_128_and_its_number(number: signal.Signals, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # opening it to read waits for a writer, so the program is surely at work
    argv: list[str | Path] = [installation() / "bin/rootrun", "--env-file", fifo, "--", "true"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        writer = os.open(fifo, os.O_WRONLY)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=30)
        os.close(writer)
    assert process.returncode == 128 + number
    assert (stdout, stderr) == (b"", b"")


def test_ignored_signals_stay_ignored() -> None:
    source = """
import signal
from rootrun.cli.signals import signals_as_exceptions
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with signals_as_exceptions():
    signal.raise_signal(signal.SIGHUP)
print("alive")
"""
    assert run_python(source).stdout == b"alive\n"


def test_closed_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    argv: list[str | Path] = [installation() / "bin/rootrun", "--help"]
    done = subprocess.run(argv, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_full_disk_behind_stdout_is_an_error_without_traceback() -> None:
    argv: list[str | Path] = [installation() / "bin/rootrun", "completion", "bash"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 125
    assert done.stderr == b"rootrun: error: write standard output: No space left on device\n"


_TWO_SIGNALS = """
import os, signal
from rootrun.cli.signals import STOPPING, signals_as_exceptions
from rootrun.errors import Interrupted

with signals_as_exceptions():
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        raise AssertionError("not interrupted")
    except Interrupted as first:
        os.kill(os.getpid(), signal.SIGHUP)
        for _ in range(1000):
            pass  # where the others would come in between
        print("undone after", first.signal_number, flush=True)
        os._exit(0)
"""


def test_signals_after_the_first_do_not_disturb_what_it_undoes() -> None:
    done = run_python(_TWO_SIGNALS)
    assert (done.stdout, done.stderr) == (b"undone after 2\n", b"")
