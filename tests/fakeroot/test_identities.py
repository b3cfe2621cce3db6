"""Who a process is follows it, its children and what they execute."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from rootrun.fakeroot.credentials import MOST_GROUPS, ROOT, Credentials, setgroups, setuid
from rootrun.fakeroot.identities import Identities

_APP = setuid(ROOT, 1000)
_FORKER = """\
import os, signal
input()
child = os.fork()
if child == 0:
    signal.pause()
print(child, flush=True)
input()
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print()
"""


@contextmanager
def waiting(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program, which waits for its standard input by default, and kill it at the end."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(argv or ["cat"], text=True, bufsize=1, stdin=pipe, stdout=pipe)
    with process:
        try:
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[str]) -> str:
    """Send a line, and return the one that comes."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    return process.stdout.readline()


def test_everybody_is_root_at_first() -> None:
    assert Identities().of(os.getpid()) == ROOT


def test_who_a_process_became_is_found() -> None:
    identities = Identities()
    with waiting() as one, waiting() as other:
        identities.become(one.pid, _APP)
        assert (identities.of(one.pid), identities.of(other.pid)) == (_APP, ROOT)
        identities.become(one.pid, ROOT)
        assert identities.of(one.pid) == ROOT


def test_children_are_who_their_parent_was() -> None:
    identities = Identities()
    with waiting(sys.executable, "-c", _FORKER) as parent:
        identities.become(parent.pid, _APP)
        child = int(tell(parent))
        identities.become(parent.pid, ROOT)
        assert identities.of(child) == _APP
        assert tell(parent) == "\n"


def test_execution_changes_nobody() -> None:
    identities = Identities()
    with waiting("sh", "-c", "read line; exec sh -c 'echo; read line'") as process:
        identities.become(process.pid, _APP)
        tell(process)
        assert identities.of(process.pid) == _APP


def test_equal_credentials_are_kept_once() -> None:
    identities = Identities()
    with waiting() as one, waiting() as other:
        for process in (one, other):
            identities.become(process.pid, setuid(ROOT, 1000))
    assert len(identities) == 1


def test_credentials_that_nobody_has_are_forgotten() -> None:
    identities = Identities()
    with waiting() as changing, waiting() as staying:
        identities.become(staying.pid, _APP)
        for uid in range(2000, 12000):
            identities.become(changing.pid, setuid(ROOT, uid))
        assert len(identities) <= 4096
        assert identities.of(staying.pid) == _APP
        assert identities.of(changing.pid).uids.real == 11999


def test_groups_beyond_all_measure_are_refused() -> None:
    def crowd(first: int) -> Credentials:
        return setgroups(ROOT, tuple(range(first, first + MOST_GROUPS)))

    identities = Identities()
    with ExitStack() as cleanup:
        processes = [cleanup.enter_context(waiting()) for _ in range(9)]
        for number, process in enumerate(processes[:8]):
            identities.become(process.pid, crowd(number))
        with pytest.raises(OSError, match="unavailable") as refusal:
            identities.become(processes[8].pid, crowd(8))
        assert refusal.value.errno == errno.EAGAIN
        processes[7].kill()
        processes[7].wait()
        identities.become(processes[8].pid, crowd(8))
        assert identities.of(processes[8].pid) == crowd(8)


def test_process_that_is_gone_is_told() -> None:
    with waiting() as process:
        process.kill()
        process.wait()
        with pytest.raises(ProcessLookupError):
            Identities().of(process.pid)
