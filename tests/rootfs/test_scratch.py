"""A scratch tree is its run's alone, goes with it, and is swept where the run is dead."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rootrun.errors import StoreError
from rootrun.layer.removal import remove_tree
from rootrun.request import Scratch
from rootrun.rootfs.scratch import discard, scratch_directory, sweep_dead
from tests.support.program import run_python
from tests.support.removers import becomes_empty
from tests.support.stacks import make_deep, open_descriptors
from tests.support.users import Account

HOLD = """
import os, sys
from pathlib import Path
from rootrun.request import Scratch
from rootrun.rootfs.scratch import scratch_directory

with scratch_directory(Scratch(cache_directory=None, scratch_parent=Path(sys.argv[1]))) as path:
    (path / "file").touch()
    print(path, flush=True)
    os.read(0, 1)
"""
CHECKOUT = Path(__file__).parent.parent.parent


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Path]:
    """A directory for scratch trees, emptied at the end whatever is in it."""
    directory = tmp_path / "parent"
    directory.mkdir()
    yield directory
    fd = os.open(directory, os.O_RDONLY)
    for name in os.listdir(directory):
        remove_tree(name, directory_fd=fd)
    os.close(fd)


def inside(parent: Path, *, keep: bool = False) -> Scratch:
    """Return the wish for a scratch tree in ``parent``."""
    return Scratch(cache_directory=None, scratch_parent=parent, keep_on_failure=keep)


def start_run(parent: Path) -> "tuple[subprocess.Popen[bytes], Path]":
    """Start a process with a scratch tree in ``parent``; return it and the tree."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, os.fspath(parent)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    return process, Path(os.fsdecode(process.stdout.readline().strip()))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o377, 0o777], ids=oct)
def test_it_is_0700_whatever_the_umask(umask: int, parent: Path) -> None:
    before = os.umask(umask)
    try:
        with scratch_directory(inside(parent)) as scratch:
            assert scratch.stat().st_mode & 0o7777 == 0o700
            assert scratch.parent == parent
    finally:
        os.umask(before)
    assert os.listdir(parent) == []


@pytest.mark.parametrize("is_failing", [False, True], ids=["a run that works", "one that fails"])
def test_it_goes_at_the_end(is_failing: bool, parent: Path) -> None:
    before = open_descriptors()
    with suppress(ZeroDivisionError), scratch_directory(inside(parent)) as scratch:
        (scratch / "work").mkdir()
        (scratch / "work").chmod(0)
        make_deep(scratch, 1500)
        if is_failing:
            raise ZeroDivisionError
    assert becomes_empty(parent)  # so deep a tree is left to a remover
    assert open_descriptors() == before


def test_trees_without_permissions_go_for_an_ordinary_user_too(lone: Account) -> None:
    place = lone.new_directory()
    source = f"""
from pathlib import Path
from rootrun.request import Scratch
from rootrun.rootfs.scratch import scratch_directory
wish = Scratch(cache_directory=None, scratch_parent=Path({os.fspath(place)!r}))
with scratch_directory(wish) as s:
    (s / "a" / "b").mkdir(parents=True)
    (s / "a" / "b" / "f").touch()
    (s / "a" / "b").chmod(0)
    (s / "a").chmod(0)
"""
    done = run_python(source, account=lone)
    assert (done.returncode, done.stderr) == (0, b"")
    assert os.listdir(place) == []


def test_a_failing_run_keeps_it_if_it_is_told_to(parent: Path, told: list[str]) -> None:
    def fail() -> None:
        with scratch_directory(inside(parent, keep=True)) as scratch:
            (scratch / "file").write_text("kept")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    (kept,) = parent.iterdir()
    assert (kept / "file").read_text() == "kept"
    assert os.fspath(kept) in told[-1]


def test_a_run_that_works_keeps_nothing(parent: Path) -> None:
    with scratch_directory(inside(parent, keep=True)):
        pass
    assert os.listdir(parent) == []


def test_sweeping_removes_the_trees_of_killed_runs(parent: Path) -> None:
    process, tree = start_run(parent)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert tree.is_dir()
    with scratch_directory(inside(parent)) as scratch:
        sweep_dead(scratch)
        assert list(parent.iterdir()) == [scratch]


@pytest.mark.root
def test_sweeping_leaves_what_is_alive_or_not_ours(parent: Path) -> None:
    process, alive = start_run(parent)
    try:
        somebodys, link = "rootrun-0123456789ab", "rootrun-ba9876543210"
        # The caller's own, to whom no run promised anything, beside TMPDIR's scratch trees.
        callers = ("kept-rootrun-1", "other", "rootrun-1.0", "rootrun-bench-x", "0123456789ab")
        for name in (somebodys, *callers):
            (parent / name).mkdir()
        os.chown(parent / somebodys, 12345, 12345)
        (parent / link).symlink_to("other")
        with scratch_directory(inside(parent)) as scratch:
            sweep_dead(scratch)
        assert set(os.listdir(parent)) == {alive.name, somebodys, link, *callers}
        assert (alive / "file").exists()
    finally:
        process.communicate(b"x")
    assert not alive.exists()


def test_runs_that_start_while_others_sweep_have_a_tree(parent: Path) -> None:
    # Each sweep takes what it finds between the making of a tree and its lock.
    source = HOLD.replace("os.read(0, 1)", "sweep_dead(path); assert os.listdir(path) == ['file']")
    source = source.replace("import scratch_directory", "import scratch_directory, sweep_dead")
    source = "for _ in range(100):\n" + textwrap.indent(source, "    ")
    argv = [sys.executable, "-c", source, os.fspath(parent)]
    runs = [
        subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    told = [run.communicate()[1].decode() for run in runs]
    assert told == [""] * 4
    assert os.listdir(parent) == []


def test_a_mount_that_is_left_in_it_goes_with_it_and_keeps_its_content(lone: Account) -> None:
    place = lone.new_directory()
    (place / "precious").mkdir()
    (place / "precious" / "file").write_text("x")
    source = f"""
from pathlib import Path
from rootrun.request import Scratch
from rootrun.rootfs.scratch import scratch_directory
from rootrun.sandbox.idmap_choice import single_id_map
from rootrun.sandbox.mount_api import attach, copy_tree
from rootrun.sandbox.userns import enter_namespaces
import os
place = Path({os.fspath(place)!r})
enter_namespaces(single_id_map(""))
(place / "a b").mkdir()
with scratch_directory(Scratch(cache_directory=None, scratch_parent=place / "a b")) as s:
    (s / "mounted").mkdir()
    attach(copy_tree(place / "precious"), os.open(s / "mounted", os.O_PATH))
    assert (s / "mounted" / "file").exists()
assert os.listdir(place / "a b") == []
"""
    done = run_python(source, account=lone)
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert (place / "precious" / "file").exists()


def test_it_is_in_the_cache_if_nothing_else_is_named(tmp_path: Path) -> None:
    wish = Scratch(cache_directory=tmp_path / "cache", scratch_parent=None)
    with scratch_directory(wish) as scratch:
        assert scratch.parent == tmp_path / "cache" / "scratch"
    assert (tmp_path / "cache").stat().st_mode & 0o7777 == 0o700


@pytest.mark.root
@pytest.mark.parametrize("part", ["", "scratch"], ids=["cache", "its scratch directory"])
def test_it_is_not_in_a_cache_of_somebody_else(part: str, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    os.chown(tmp_path / part, 12345, 12345)
    with scratch_directory(Scratch(cache_directory=tmp_path, scratch_parent=None)) as scratch:
        assert scratch.parent == Path("/tmp")


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with (
        pytest.raises(StoreError, match=f"make a scratch directory: {gone}/rootrun-.*: No such"),
        scratch_directory(inside(gone)),
    ):
        pass


@pytest.mark.root  # as a run is, of its namespace: the directory is closed to its owner
@pytest.mark.parametrize("count", [3, 900], ids=["small", "large"])
def test_a_part_of_it_can_go_before_it(parent: Path, count: int) -> None:
    with scratch_directory(inside(parent)) as tree:
        (tree / "stays").touch()
        (tree / "part").mkdir(mode=0o500)
        for number in range(count):
            (tree / "part" / str(number)).touch()
        before = open_descriptors()
        discard(tree / "part")
        assert open_descriptors() == before
        assert os.listdir(tree) == ["stays"]
        with pytest.raises(FileNotFoundError):
            discard(tree / "part")
    assert becomes_empty(parent)
