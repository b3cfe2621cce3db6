"""``rootrun shell``: a shell in a throw-away root, at a terminal and without one."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.host_bash import bash_libraries
from tests.support.image_check import assert_image_valid
from tests.support.peers import skopeo_inspect, unpacked_by_umoci
from tests.support.program import installation
from tests.support.require import require_program
from tests.support.tarball import directory, file
from tests.support.terminal import Terminal, at_terminal
from tests.support.users import processes_of
from tests.support.workplace import (
    Workplace,
    busybox_layer,
    config_of,
    content_of,
    manifest_of,
    top_layer,
)

pytestmark = pytest.mark.userns

_PROMPT = "/ # "


@contextmanager
def shell_at(
    workplace: Workplace, *args: str | Path, term: str = "xterm", prompt: str = _PROMPT
) -> Iterator[Terminal]:
    """Start a shell of ``base.tar``, by default a busybox, and wait for its prompt."""
    if not (workplace.path / "base.tar").exists():
        workplace.base()
    argv = [installation() / "bin" / "rootrun", "shell", "--from", "base.tar", *args]
    with at_terminal(workplace, argv, term=term) as terminal:
        if prompt:
            terminal.wait_for(prompt)
        yield terminal


def assert_nothing_left(workplace: Workplace) -> None:
    """Fail if a process of the account is left, or a file of the run."""
    assert workplace.account is not None
    assert processes_of(workplace.account) == []
    scratch = [*workplace.account.home.glob(".cache/rootrun/scratch/*")]
    assert scratch == []


@pytest.mark.parametrize("caller", ["workplace", "lone_workplace"])
def test_shell_ends_with_its_status_and_leaves_nothing(
    caller: str, request: pytest.FixtureRequest
) -> None:
    place: Workplace = request.getfixturevalue(caller)
    with shell_at(place) as terminal:
        terminal.type("hostname; id -u; pwd; sleep 600 & touch /kept\r")
        assert "\r\nrootrun\r\n0\r\n/\r\n" in terminal.wait_for(_PROMPT)
        terminal.type("exit 7\r")
        assert terminal.status() == 7
    assert_nothing_left(place)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_cleans_up_and_gives_the_terminal_back(
    number: signal.Signals, lone_workplace: Workplace
) -> None:
    with shell_at(lone_workplace, prompt="") as terminal:
        before = terminal.modes()
        terminal.wait_for(_PROMPT)
        assert terminal.modes() != before
        terminal.type("trap '' TERM HUP; (trap '' HUP; sleep 600) & cat\r")
        terminal.wait_for("\r\n")
        terminal.send(number)
        assert terminal.status() == 128 + number
        assert terminal.modes() == before
    assert_nothing_left(lone_workplace)


def test_kill_leaves_no_process(lone_workplace: Workplace) -> None:
    with shell_at(lone_workplace) as terminal:
        terminal.send(signal.SIGKILL)
        assert terminal.status() == -signal.SIGKILL
    assert lone_workplace.account
    deadline_s = time.monotonic() + 30
    while processes_of(lone_workplace.account):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_shell_without_a_terminal_runs_what_is_piped_in(workplace: Workplace) -> None:
    workplace.base()
    script = b"test -t 0 || echo no terminal; id -u; echo trouble >&2; exit 5\n"
    done = workplace.run("shell", "--from", "base.tar", stdin=script)
    assert (done.returncode, done.stdout) == (5, b"no terminal\n0\n")
    assert done.stderr == b"trouble\n"
    assert_nothing_left(workplace)


def test_command_has_standard_input_and_output(lone_workplace: Workplace) -> None:
    lone_workplace.base()
    content = os.urandom(1 << 20)
    done = lone_workplace.run("shell", "--from", "base.tar", "--", "cat", stdin=content)
    assert (done.returncode, done.stdout, done.stderr) == (0, content, b"")


def test_options_are_those_of_the_main_job(workplace: Workplace) -> None:
    workplace.base()
    workplace.write("shown", "of the host\n")
    done = workplace.run(
        *("shell", "--from", "base.tar", "--env", "COLOUR=red", "--workdir", "/tmp", "--no-cache"),
        *("--user", "app", "--bind", "shown:/etc/shown:ro", "--nofile", "77", "--pids", "50", "--"),
        *("sh", "-c", "echo $COLOUR; pwd; id -un; cat /etc/shown; ulimit -n"),
        env={"ROOTRUN_CACHE": "cache"},
    )
    assert done.stderr == b""
    assert done.stdout.decode().split("\n") == ["red", "/tmp", "app", "of the host", "77", ""]
    assert not (workplace.path / "cache").exists()


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["--from", "missing.tar"], 125, "error: machine: 'missing.tar': No such file"),
        (["--from", "base.tar", "--", "nothing"], 127, "error: run nothing: not found in the"),
        (["--from", "base.tar", "--", "/etc/passwd"], 126, "error: run /etc/passwd: "),
        (["--", "sh"], 125, "error: --from: not given: "),
        (["--from", "base.tar", "--commit", "no/out.tar"], 125, "error: --commit: 'no': No such"),
        (["--from", "base.tar", "--commit", "-"], 125, "error: --commit: '-': standard output"),
        (["--from", "base.tar", "--name", "new"], 125, "error: --name, --tag, --owner: only"),
        (["--from", "base.tar", "--", "sh", "-c", "kill -9 $$"], 137, ""),
    ],
    ids=["image", "not found", "not executable", "no image", "place", "stdout", "name", "killed"],
)
def test_what_cannot_be_is_told(
    args: list[str], status: int, message: str, lone_workplace: Workplace
) -> None:
    lone_workplace.base()
    done = lone_workplace.run("shell", *args)
    assert done.returncode == status
    assert done.stderr.decode().startswith(f"rootrun: {message}" if message else "")
    assert len(done.stderr.splitlines()) <= 2


def test_committed_image_has_the_change_and_what_was_set(workplace: Workplace) -> None:
    options = ("--commit", "new.tar", "--name", "new", "--env", "A=b", "--workdir", "/tmp")
    with shell_at(workplace, *options, prompt="/tmp # ") as terminal:
        terminal.type("echo made > /made; chown app /made; rm /etc/group; false\r")
        terminal.wait_for("/tmp # ")
        terminal.type("exit\r")
        assert terminal.status() == 1
        image_id = terminal.text().split()[-1]
    image = workplace.path / "new.tar"
    assert_image_valid(image)
    assert set(top_layer(image)) == {"etc/", "etc/.wh.group", "made"}
    assert top_layer(image)["made"].uid == 1000
    assert content_of(image, "made") == b"made\n"
    config = config_of(image)
    assert image_id.startswith("sha256:")
    assert config["config"]["WorkingDir"] == "/tmp"  # type: ignore[index] # as the spec has it
    assert "A=b" in config["config"]["Env"]  # type: ignore[index] # likewise


def test_committed_image_is_one_for_others(lone_workplace: Workplace, tmp_path: Path) -> None:
    lone_workplace.base()
    done = lone_workplace.run(
        *("shell", "--from", "base.tar", "--commit", "new.tar", "--tag", "some/new:1"),
        stdin=b"echo made > /made\n",
    )
    assert done.stderr == b""
    image = lone_workplace.path / "new.tar"
    assert manifest_of(image)["RepoTags"] == ["some/new:1"]
    assert skopeo_inspect(f"docker-archive:{image}")["Architecture"] == "amd64"
    with unpacked_by_umoci(image, tmp_path) as root:
        assert (root / "made").read_text() == "made\n"


def test_command_that_failed_is_not_committed(lone_workplace: Workplace) -> None:
    lone_workplace.base()
    done = lone_workplace.run(
        *("shell", "--from", "base.tar", "--commit", "new.tar", "--", "sh", "-c", "exit 3")
    )
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr == b"rootrun: warning: --commit: new.tar: not written: status 3\n"
    assert not (lone_workplace.path / "new.tar").exists()


def test_bash_is_taken_where_there_is_one_and_finds_what_the_image_has(
    lone_workplace: Workplace,
) -> None:
    lone_workplace.base("plain.tar")
    bash = ("--copy", f"{require_program('bash')}:/usr/bin/bash", *bash_libraries())
    path = "PATH=/opt/bin:/usr/bin:/bin"
    done = lone_workplace.run("--from", "plain.tar", *bash, "--env", path, "-o", "base.tar")
    assert done.returncode == 0, done.stderr
    with shell_at(lone_workplace, "--commit", "new.tar", prompt="rootrun:/# ") as terminal:
        terminal.type("echo $BASH $PATH\r")
        terminal.wait_for("\n/usr/bin/bash /opt/bin:/usr/bin:/bin\r\n")
        terminal.type("sleep 600 &\r")
        terminal.wait_for("[1] ")
        terminal.type("jobs; kill %1; exit\r")
        assert terminal.status() == 0
    assert set(top_layer(lone_workplace.path / "new.tar")) == set()


@pytest.mark.parametrize(
    ("term", "known", "chosen"),
    [
        ("odd-term", "xterm-256color", "xterm-256color"),
        ("odd-term", "odd-term", "odd-term"),
        ("odd-term", "linux", "odd-term"),
    ],
    ids=["unknown", "known", "nothing better"],
)
def test_terminal_is_one_that_the_image_knows(
    term: str, known: str, chosen: str, lone_workplace: Workplace
) -> None:
    places = ("lib", "lib/terminfo", f"lib/terminfo/{known[0]}")
    described = file(f"lib/terminfo/{known[0]}/{known}", b"")
    lone_workplace.base("base.tar", busybox_layer(*map(directory, places), described))
    with shell_at(lone_workplace, term=term) as terminal:
        terminal.type("echo is $TERM\r")
        terminal.wait_for(f"\nis {chosen}\r\n")


def test_end_of_the_terminal_ends_the_shell(lone_workplace: Workplace) -> None:
    with shell_at(lone_workplace) as terminal:
        terminal.hang_up()
        assert terminal.status() == 128 + signal.SIGHUP
    assert_nothing_left(lone_workplace)


def test_command_does_not_wait_for_what_it_leaves_running(lone_workplace: Workplace) -> None:
    lone_workplace.base()
    command = "(while :; do echo on; done) & sleep 0.2; echo end >&2"
    done = lone_workplace.run("shell", "--from", "base.tar", "--", "sh", "-c", command)
    assert (done.returncode, done.stderr) == (0, b"end\n")
    assert done.stdout.startswith(b"on\non\n")
    assert_nothing_left(lone_workplace)


def test_shell_ends_when_nobody_reads_its_output(lone_workplace: Workplace) -> None:
    lone_workplace.base()
    loop = "rootrun shell --from base.tar -- sh -c 'while :; do echo on; done'"
    done = lone_workplace.shell(f"({loop}; echo $? >&2) | head -1")
    assert (done.stdout, done.stderr) == (b"on\n", b"141\n")
    assert_nothing_left(lone_workplace)
