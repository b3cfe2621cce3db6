"""The plugin of pytest where there can be no machines."""

import errno
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rootrun.sandbox import bpf
from tests.support.program import run_as
from tests.support.pytest_program import pytest_command, pytest_environment, run_pytest
from tests.support.require import require
from tests.support.restricted import run_below
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_UNSHARE = 272
_Run = Callable[[Workplace, Sequence[str]], subprocess.CompletedProcess[bytes]]
_SOURCE = """
import pytest
from rootrun.testing import Machine

@pytest.mark.rootrun
def test_marked(): Machine("base.tar").start()

def test_machine(rootrun_machine): rootrun_machine("base.tar")
def test_image(rootrun_image): rootrun_image("base.tar", "true")
def test_other(): pass
"""


def _command(place: Workplace, env: Sequence[str]) -> list[str | Path]:
    words = [f"{name}={value}" for name, value in pytest_environment().items()]
    return ["/usr/bin/env", *words, *env, *pytest_command(place, _SOURCE, "-rs")]


def _run_filtered(place: Workplace, env: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run the tests below a filter that forbids user namespaces."""
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
    return run_below(program, _command(place, env), place)


def _run_limited(place: Workplace, env: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Run the tests where there may be no user namespaces."""
    inside = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    argv = ["unshare", "--user", "--map-root-user", "/bin/sh", "-c", inside, "sh"]
    return run_as([*argv, *_command(place, env)], account=place.account, cwd=place.path)


_REFUSALS = pytest.mark.parametrize(
    ("run", "why"),
    [
        (_run_filtered, "create user namespace: Operation not permitted"),
        (_run_limited, "create user namespace: No space left on device"),
    ],
    ids=["filter", "limit"],
)


@_REFUSALS
def test_what_needs_machines_is_skipped_with_the_reason(
    run: _Run, why: str, lone_workplace: Workplace
) -> None:
    done = run(lone_workplace, [])
    said = done.stdout.decode()
    assert done.returncode == 0, said
    assert "1 passed, 3 skipped" in said
    assert f"rootrun cannot work here: {why}" in said


@_REFUSALS
def test_what_needs_machines_fails_where_all_must_work(
    run: _Run, why: str, lone_workplace: Workplace
) -> None:
    done = run(lone_workplace, ["ROOTRUN_MUST_WORK=1"])
    said = done.stdout.decode()
    assert done.returncode == 1, said
    assert "1 passed" in said
    assert f"ROOTRUN_MUST_WORK=1, but rootrun cannot work here: {why}" in said
    assert "skipped" not in said


def test_error_of_a_machine_is_no_reason_to_skip(lone_workplace: Workplace) -> None:
    lone_workplace.write("bad.tar", "this is no image")
    source = _SOURCE.replace("base.tar", "bad.tar")
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 1, done.stdout
    assert "3 failed, 1 passed" in done.stdout
