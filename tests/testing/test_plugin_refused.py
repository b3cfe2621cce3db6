"""The plugin of pytest where there can be no machines."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from rootrun.sandbox import bpf
from tests.support.pytest_program import pytest_command, pytest_environment
from tests.support.require import require
from tests.support.restricted import run_below
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_UNSHARE = 272
_SOURCE = """
import pytest
from rootrun.testing import Machine

@pytest.mark.rootrun
def test_marked(): Machine("base.tar").start()

def test_machine(rootrun_machine): rootrun_machine("base.tar")
def test_image(rootrun_image): rootrun_image("base.tar", "true")
def test_other(): pass
"""


def _run_refused(place: Workplace, *env: str) -> subprocess.CompletedProcess[bytes]:
    """Run the tests where nobody may make a user namespace."""
    require(os.uname().machine == "x86_64", "the filter is for x86-64")
    program = bpf.assemble(
        [
            bpf.load(bpf.OFFSET_NUMBER),
            bpf.jump_if_equal(_UNSHARE, "forbidden"),
            bpf.answer(bpf.RETURN_ALLOW),
            "forbidden",
            bpf.answer(bpf.RETURN_ERRNO | errno.EPERM),
        ]
    )
    words = [f"{name}={value}" for name, value in pytest_environment().items()]
    argv: list[str | Path] = ["/usr/bin/env", *words, *env, *pytest_command(place, _SOURCE, "-rs")]
    return run_below(program, argv, place)


def test_what_needs_machines_is_skipped_with_the_reason(lone_workplace: Workplace) -> None:
    done = _run_refused(lone_workplace)
    said = done.stdout.decode()
    assert done.returncode == 0, said
    assert "1 passed, 3 skipped" in said
    assert "rootrun cannot work here: create user namespace: Operation not permitted" in said


def test_what_needs_machines_fails_where_all_must_work(lone_workplace: Workplace) -> None:
    done = _run_refused(lone_workplace, "ROOTRUN_MUST_WORK=1")
    said = done.stdout.decode()
    assert done.returncode == 1, said
    assert "1 passed" in said
    assert "ROOTRUN_MUST_WORK=1, but rootrun cannot work here: create user namespace" in said
    assert "skipped" not in said


def test_error_of_a_machine_is_no_reason_to_skip(lone_workplace: Workplace) -> None:
    lone_workplace.write("bad.tar", "this is no image")
    source = _SOURCE.replace("base.tar", "bad.tar")
    from tests.support.pytest_program import run_pytest

    done = run_pytest(lone_workplace, source)
    assert done.returncode == 1, done.stdout
    assert "3 failed, 1 passed" in done.stdout
