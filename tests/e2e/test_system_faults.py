"""A full disk, a read-only one, one that is broken, limits: one line that names the place.

Status 125, nothing partial, and the next run works.
"""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.program import clean_environment, installation
from tests.support.tarball import file, tarball
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns

Done = subprocess.CompletedProcess[bytes]
_BIG = 8 << 20  # of a layer of the base
_SCRIPT = ("mkdir", "/made")
_OF_THE_SCRIPT = (1, 126)  # its calls fail, or it cannot be executed


@pytest.fixture
def faulty(any_workplace: Workplace) -> Workplace:
    """A workplace with a big base, and places of its own for cache, scratch tree and output."""
    any_workplace.base("base.tar", busybox_layer(), tarball(file("big", os.urandom(_BIG))))
    for name in ("cache", "scratch", "output"):
        (any_workplace.path / name).mkdir()
        any_workplace.own(any_workplace.path / name)
    return any_workplace


def _arguments(workplace: Workplace) -> tuple[str, ...]:
    places = ("--from", "base.tar", "--cache-dir", "cache", "--tmpdir", "scratch")
    return (*places, "-o", "output/out.tar", *workplace.options, "--", *_SCRIPT)


def _assert_refused(workplace: Workplace, done: Done, *told: str) -> None:
    """Fail unless the run ended as one has to that the system fails, and the next one works."""
    errors = done.stderr.decode()
    assert done.returncode == 125, errors
    _assert_told(errors, *told)
    assert done.stdout == b""
    assert os.listdir(workplace.path / "output") == []
    _assert_works(workplace)


def _assert_told(errors: str, *told: str) -> None:
    assert "Traceback" not in errors
    assert "internal error" not in errors
    (line,) = (line for line in errors.splitlines() if line.startswith("rootrun: error: "))
    assert [words for words in told if words not in line] == [], line


def _assert_works(workplace: Workplace) -> None:
    done = workplace.run(*_arguments(workplace))
    assert done.returncode == 0, done.stderr.decode()
    assert os.listdir(workplace.path / "scratch") == []
    (workplace.path / "output" / "out.tar").unlink()


@contextmanager
def _mounted(workplace: Workplace, name: str, *options: str) -> Iterator[Path]:
    """Mount what ``options`` say at the directory ``name``; it must be empty at the end."""
    place = workplace.path / name
    subprocess.run(["mount", *options, place], check=True)
    try:
        yield place
        assert name == "cache" or os.listdir(place) == []
    finally:
        subprocess.run(["umount", place], check=True)


def _small(workplace: Workplace, limit: str) -> tuple[str, ...]:
    account = workplace.account
    owner = f",uid={account.uid},gid={account.gid}" if account else ""
    return ("-t", "tmpfs", "-o", f"mode=700,{limit}{owner}", "none")


@pytest.mark.root
@pytest.mark.parametrize(
    ("limit", "told"),
    # How much is needed is known before; how many inodes is not.
    [("size=6m", "MiB, 6.0 MiB are free"), ("nr_inodes=20", "No space left on device")],
)
def test_cache_without_room_is_told(limit: str, told: str, faulty: Workplace) -> None:
    with _mounted(faulty, "cache", *_small(faulty, limit)) as place:
        done = faulty.run(*_arguments(faulty))
    _assert_refused(faulty, done, os.fspath(place), told)


@pytest.mark.root
def test_output_without_room_is_told(faulty: Workplace) -> None:
    with _mounted(faulty, "output", *_small(faulty, "size=6m")):
        done = faulty.run(*_arguments(faulty))
    _assert_refused(faulty, done, "output/out.tar", "No space left on device")


@pytest.mark.root
def test_scratch_without_room_is_told(faulty: Workplace) -> None:
    with _mounted(faulty, "scratch", *_small(faulty, "nr_inodes=4")) as place:
        done = faulty.run(*_arguments(faulty))
    _assert_refused(faulty, done, os.fspath(place), "No space left on device")


@pytest.mark.root
@pytest.mark.parametrize(("name", "told"), [("scratch", "/scratch/"), ("output", "output/out.tar")])
def test_read_only_place_is_told(name: str, told: str, faulty: Workplace) -> None:
    with _mounted(faulty, name, "-o", "ro", "-t", "tmpfs", "none"):
        done = faulty.run(*_arguments(faulty))
    _assert_refused(faulty, done, told, "Read-only file system")


@pytest.mark.root
def test_read_only_cache_is_passed_over(faulty: Workplace) -> None:
    with _mounted(faulty, "cache", "-o", "ro", "-t", "tmpfs", "none"):
        done = faulty.run(*_arguments(faulty))
    assert done.returncode == 0, done.stderr.decode()
    assert b"warning: passing over the cache: " in done.stderr


def _run_limited(workplace: Workplace, limit: int, value: int) -> Done:
    account = workplace.account
    return subprocess.run(
        [installation() / "bin" / "rootrun", *_arguments(workplace)],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env=clean_environment(account),
        cwd=workplace.path,
        capture_output=True,
        preexec_fn=lambda: resource.setrlimit(limit, (value, value)),
        check=False,
    )


def test_file_size_limit_is_told_with_the_place(faulty: Workplace) -> None:
    done = _run_limited(faulty, resource.RLIMIT_FSIZE, _BIG // 2)
    _assert_refused(faulty, done, os.fspath(faulty.path / "cache"), "File too large")
    done = _run_limited(faulty, resource.RLIMIT_FSIZE, _BIG // 2)  # the cache has the base
    _assert_refused(faulty, done, "File too large")


@pytest.mark.parametrize("count", [12, 14, 16, 18, 20, 24, 32])
def test_few_descriptors_are_enough_or_told(count: int, faulty: Workplace) -> None:
    done = _run_limited(faulty, resource.RLIMIT_NOFILE, count)
    assert done.returncode in (0, 125, *_OF_THE_SCRIPT)
    if done.returncode == 0:
        (faulty.path / "output" / "out.tar").unlink()
    else:
        _assert_told(done.stderr.decode())
        assert b"Too many open files" in done.stderr
        assert os.listdir(faulty.path / "output") == []
    _assert_works(faulty)
