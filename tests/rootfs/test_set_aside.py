"""A large scratch tree is removed by another process, after the run."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from rootrun.request import Scratch
from rootrun.rootfs.scratch import scratch_directory, sweep_dead
from tests.support.removers import becomes_empty, removers
from tests.support.require import require_program

CHECKOUT = Path(__file__).parent.parent.parent
LARGE = 2000  # entries; a run removes a few hundred itself
BEYOND = 600  # so many are removed by no run itself

RUN = f"""
import os, sys
from pathlib import Path
from rootrun.request import Scratch
from rootrun.rootfs.scratch import scratch_directory

wish = Scratch(cache_directory=None, scratch_parent=Path(sys.argv[1]))
with scratch_directory(wish) as path:
    for number in range({LARGE}):
        (path / str(number)).touch()
print("over", flush=True)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A directory for scratch trees."""
    (tmp_path / "parent").mkdir()
    return tmp_path / "parent"


@contextmanager
def held_remover(parent: Path) -> Iterator[psutil.Process]:
    """A remover that a run has left behind in ``parent``, in the midst of its work."""
    # It is the one process that makes so many calls.
    hold = f"inject=unlinkat:delay_enter=600000000:when={BEYOND}"
    tracer = [os.fspath(require_program("strace")), "-f", "-o", "/dev/null"]
    argv = [*tracer, "-e", "trace=unlinkat", "-e", hold, sys.executable, "-c", RUN]
    found: list[int] = []
    with subprocess.Popen(
        [*argv, os.fspath(parent)], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as tracing:
        assert tracing.stdout is not None
        assert tracing.stdout.readline() == b"over\n"
        try:
            while not (found := [pid for pid in removers() if _tracer_of(pid) == tracing.pid]):
                assert tracing.poll() is None
            yield psutil.Process(found[0])
        finally:
            for pid in (*found, tracing.pid):  # the tracer would sit out the delay
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _tracer_of(pid: int) -> int | None:
    with suppress(FileNotFoundError, ProcessLookupError):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("TracerPid:\t")[2].split()[0])
    return None


def test_the_run_is_over_before_a_large_tree_is_gone(parent: Path) -> None:
    with held_remover(parent) as remover:
        (tree,) = parent.iterdir()
        assert os.listdir(tree)
        assert remover.nice() == 19


def test_others_leave_it_to_the_remover_while_that_lives(parent: Path) -> None:
    with held_remover(parent):
        (tree,) = parent.iterdir()
        with scratch_directory(inside(parent)) as scratch:
            sweep_dead(scratch)
        assert list(parent.iterdir()) == [tree]
        lock = os.open(tree, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(lock)


def test_what_a_killed_remover_leaves_goes_with_the_next_run(parent: Path) -> None:
    with held_remover(parent) as remover:
        remover.send_signal(signal.SIGKILL)
        while remover.is_running() and remover.status() != psutil.STATUS_ZOMBIE:
            continue
        (tree,) = parent.iterdir()
        with scratch_directory(inside(parent)) as scratch:
            sweep_dead(scratch)
        assert becomes_empty(parent)
        assert not tree.exists()


def inside(parent: Path) -> Scratch:
    """Return the wish for a scratch tree in ``parent``."""
    return Scratch(cache_directory=None, scratch_parent=parent)


@pytest.mark.parametrize("size_bytes", [0, 1 << 30], ids=["entries", "bytes"])
def test_a_small_tree_is_gone_at_once(size_bytes: int, parent: Path) -> None:
    with scratch_directory(inside(parent)) as scratch:
        for number in range(LARGE // 10):
            (scratch / str(number)).touch()
        with (scratch / "holes").open("wb") as file:
            file.truncate(size_bytes)  # it takes nothing of the disk
    assert os.listdir(parent) == []


def test_a_large_file_is_too_much_too(parent: Path) -> None:
    with scratch_directory(inside(parent)) as scratch, (scratch / "file").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 100 << 20)
    assert becomes_empty(parent)
