"""What goes on after its process keeps nobody waiting and gets in nobody's way."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.sandbox.inside import run_inside
from tests.support.require import require_program
from tests.support.users import Account

pytestmark = [pytest.mark.userns, pytest.mark.root]

# The signals 32 and 33: where there was a thread, as in these tests, its library catches them and
# lets nobody change that (nptl(7)).
_OF_THREADS = 0b11 << 31


def _start(directory: str) -> None:
    import fcntl

    from rootrun.sandbox.detached import start_detached
    from rootrun.sandbox.syscalls import die_with_parent

    place = Path(directory)
    lock = os.open(place, os.O_RDONLY)
    os.set_inheritable(lock, True)
    fcntl.flock(lock, fcntl.LOCK_EX)
    die_with_parent()  # of the test's: nothing that the other one is to inherit

    def wait() -> None:
        (place / "pid.new").write_text(os.readlink("/proc/self"))
        (place / "pid.new").rename(place / "pid")
        (place / "pipe").read_text()
        (place / "over").touch()

    sys.stdout.write(str(start_detached(wait, kept=[lock], title="a-title")))


@pytest.fixture
def place(lone: Account) -> Path:
    """A directory of the account, with a pipe."""
    directory = lone.new_directory()
    os.mkfifo(directory / "pipe")
    lone.own(directory / "pipe")
    return directory


@pytest.fixture
def detached(place: Path, lone: Account) -> Iterator[psutil.Process]:
    """A process that waits for what is written to the pipe; its starter has ended."""
    # It returns: so nothing of the other one's is open on the output, and nobody waits for it.
    assert run_inside(_start, os.fspath(place), account=lone) == "True"
    while not (place / "pid").exists():
        continue
    process = psutil.Process(int((place / "pid").read_text()))
    yield process
    if process.is_running():
        process.kill()


def test_it_goes_on_and_ends_by_itself(detached: psutil.Process, place: Path) -> None:
    assert detached.name() == "a-title"
    assert detached.cmdline()[0].rstrip("\0") == "a-title"
    (place / "pipe").write_text("")
    while detached.is_running() and detached.status() != psutil.STATUS_ZOMBIE:
        continue
    assert (place / "over").exists()


def test_it_has_the_lowest_priority(detached: psutil.Process) -> None:
    assert detached.nice() == 19
    argv = [os.fspath(require_program("ionice")), "-p", str(detached.pid)]
    assert subprocess.run(argv, capture_output=True, check=True).stdout == b"idle\n"


def test_it_has_a_session_and_descriptors_of_its_own(detached: psutil.Process, place: Path) -> None:
    assert os.getsid(detached.pid) not in (os.getsid(0), detached.pid)
    links = Path(f"/proc/{detached.pid}/fd")
    opened = {path.name: os.readlink(path) for path in links.iterdir()}
    assert {opened.pop(number) for number in "012"} == {"/dev/null"}
    assert list(opened.values()) == [os.fspath(place)]
    assert os.readlink(f"/proc/{detached.pid}/cwd") == "/"


def test_a_signal_ends_it(detached: psutil.Process, place: Path) -> None:
    status = Path(f"/proc/{detached.pid}/status").read_text().splitlines()
    words = dict(line.split(":\t") for line in status if line.startswith("Sig"))
    masks = {name: int(words[name], 16) & ~_OF_THREADS for name in ("SigBlk", "SigCgt", "SigIgn")}
    assert masks == {"SigBlk": 0, "SigCgt": 0, "SigIgn": 0}
    detached.send_signal(signal.SIGTERM)
    while detached.is_running() and detached.status() != psutil.STATUS_ZOMBIE:
        continue
    assert not (place / "over").exists()


def _start_as_first() -> None:
    from rootrun.sandbox import syscalls
    from rootrun.sandbox.detached import start_detached
    from rootrun.sandbox.forking import fork_child

    def say() -> None:
        started = start_detached(lambda: None, kept=[], title="x")
        os.write(1, f"{os.getpid()} {started}".encode())

    syscalls.unshare(syscalls.CLONE_NEWPID)
    os.waitpid(fork_child(say), 0)


def test_there_is_none_where_it_would_be_killed_at_once(lone: Account) -> None:
    assert run_inside(_start_as_first, account=lone) == "1 False"
