"""Runs that leave much behind are over before it is gone, and it goes."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.program import clean_environment, installation
from tests.support.removers import becomes_empty
from tests.support.require import require_program
from tests.support.tarball import directory, file, tarball
from tests.support.users import processes_of
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

MANY = "mkdir -p /d/closed; for n in $(seq 2000); do : > /d/closed/$n; done; chmod 0 /d/closed /d\n"


def wait_for_nothing(place: Workplace) -> None:
    """Wait until nothing of the runs of ``place`` is left, and no process."""
    assert becomes_empty(place.path / "scratch")
    while place.account is not None and processes_of(place.account):
        continue  # its last moments


@pytest.fixture
def large(any_workplace: Workplace) -> Workplace:
    """A workplace with a directory for scratch trees."""
    (any_workplace.path / "scratch").mkdir()
    any_workplace.own(any_workplace.path / "scratch")
    any_workplace.base()
    return any_workplace


@pytest.mark.parametrize("backend", ["overlay", "copy"])
def test_it_goes_whatever_its_modes(backend: str, large: Workplace) -> None:
    output = large.build(MANY, "--tmpdir", "scratch", "--rootfs", backend)
    assert_image_valid(output)
    wait_for_nothing(large)


@pytest.mark.parametrize("ending", ["exit 3", "kill -TERM $$"])
def test_that_of_a_failing_run_goes_too(ending: str, large: Workplace) -> None:
    large.write("setup.sh", MANY + ending)
    done = large.run("--from", "base.tar", "--script", "setup.sh", "--tmpdir", "scratch")
    assert done.returncode in (3, 128 + signal.SIGTERM)
    wait_for_nothing(large)


def test_that_of_an_interrupted_run_goes_too(large: Workplace) -> None:
    large.write("setup.sh", MANY + "echo ready >&2; sleep 1000\n")
    program = installation() / "bin" / "rootrun"
    account = large.account
    with subprocess.Popen(
        [program, "--from", "base.tar", "--script", "setup.sh", "--tmpdir", "scratch"],
        cwd=large.path,
        env=clean_environment(account),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        while b"ready" not in process.stderr.readline():
            assert process.poll() is None
        process.terminate()
        process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    wait_for_nothing(large)


def test_what_was_unpacked_in_vain_goes_with_it(large: Workplace) -> None:
    files = [file(f"d/{number}", b"x") for number in range(2000)]
    large.base("cut.tar", tarball(directory("d"), *files)[:-20000])
    argv = ("--from", "cut.tar", "--tmpdir", "scratch", "--cache-dir", "cache", "--", "true")
    assert large.run("--keep", *argv).returncode == 125
    (kept,) = (large.path / "scratch").iterdir()
    (unpacked,) = kept.glob("discarded-*")
    assert len(list((unpacked / "tree" / "d").iterdir())) > 1900
    kept.rename(large.path / "kept")
    assert large.run(*argv).returncode == 125
    wait_for_nothing(large)
    assert not any((large.path / "cache").glob("layers-*/*/*"))


@pytest.mark.root  # who reads what a process of ours, which is not dumpable, passes to the kernel
def test_the_output_is_in_place_before_it_is_removed(root_workplace: Workplace) -> None:
    root_workplace.base()
    root_workplace.write("setup.sh", MANY)
    calls = "trace=rename,renameat,renameat2,ioprio_set"
    trace = root_workplace.path / "trace"
    program = installation() / "bin" / "rootrun"
    argv = [os.fspath(require_program("strace")), "-f", "-qq", "-e", calls, "-o", os.fspath(trace)]
    subprocess.run(
        [*argv, program, "--from", "base.tar", "--script", "setup.sh", "-o", "out.tar"],
        cwd=root_workplace.path,
        env=clean_environment(None),
        capture_output=True,
        check=True,
    )
    assert order_of(trace) == ["out.tar", "ioprio_set"]


def order_of(trace: Path) -> list[str]:
    """Return in which order the output was renamed and a remover slowed down."""
    found = re.findall(r'rename\w*\(.*"[^"]*(out\.tar)"|(ioprio_set)\(', trace.read_text())
    return [renamed or slowed for renamed, slowed in found]
