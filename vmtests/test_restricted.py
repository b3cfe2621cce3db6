"""Hosts that hold back what rootrun would like: what it does instead, or the one line it says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vmtests.cases import own_cases
from vmtests.control import Answer
from vmtests.guest_runs import guest, layer_digest, run
from vmtests.images import Kernel
from vmtests.machine import Machine

pytestmark = pytest.mark.vm

_CASES = [case for case in own_cases() if case.name == "owners"]
_KEEP = ("--owner", "keep")


@pytest.fixture(scope="module")
def machine(
    usual_kernel: Kernel, basic_rootfs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """One machine for all; each test undoes what it does to it."""
    tmp = tmp_path_factory.mktemp("restricted")
    with guest(usual_kernel, basic_rootfs, tmp, cases=_CASES) as booted:
        yield booted


@pytest.fixture(scope="module")
def usual(machine: Machine) -> str:
    """The layer where nothing is restricted."""
    return layer_digest(run(machine, "tester", *_KEEP, name="owners"))


@contextmanager
def _doing(machine: Machine, change: str, back: str) -> Iterator[None]:
    machine.succeed(change)
    try:
        yield
    finally:
        machine.succeed(back)


def test_no_subordinate_ids(machine: Machine, usual: str) -> None:
    answer = run(machine, "lone", *_KEEP, "--verbose", name="owners")
    assert layer_digest(answer) == usual
    assert "id map: single: no range for 'lone' in /etc/subuid" in answer.stderr


def test_no_new_privs(machine: Machine, usual: str) -> None:
    prefix = "setpriv --no-new-privs"
    answer = run(machine, "tester", *_KEEP, name="owners", prefix=prefix)
    assert layer_digest(answer) == usual
    assert "id map: single: no_new_privs is set" in answer.stderr
    refused = run(machine, "tester", "--idmap", "subids", prefix=prefix)
    _assert_refused(machine, refused, "no_new_privs is set", "outside of the sandbox")


def test_newuidmap_on_a_file_system_without_set_id_programs(machine: Machine, usual: str) -> None:
    mount = "mount --bind /usr/bin /usr/bin && mount -o remount,bind,nosuid /usr/bin"
    with _doing(machine, mount, "umount -l /usr/bin"):
        answer = run(machine, "tester", *_KEEP, name="owners")
        refused = run(machine, "tester", "--idmap", "subids")
    assert layer_digest(answer) == usual
    assert "id map: single: " in answer.stderr
    _assert_refused(machine, refused, "Operation not permitted", "")


def test_short_ranges(machine: Machine, usual: str) -> None:
    files = "/etc/subuid /etc/subgid"
    change = f"sed -i.whole 's/65536/10/' {files}"
    with _doing(machine, change, "for f in /etc/sub?id; do mv $f.whole $f; done"):
        answer = run(machine, "tester", *_KEEP, name="owners")
    assert layer_digest(answer) == usual
    assert "id map: subids: " in answer.stderr


def test_cache_and_scratch_on_an_overlay_as_in_a_container(machine: Machine, usual: str) -> None:
    # No whiteout can be made there, and no upper can lie there.
    machine.succeed("test $(stat -fc %T /home) = overlayfs")
    for user in ("tester", "lone"):
        answer = run(machine, user, *_KEEP, name="owners", prefix=f"XDG_CACHE_HOME=/home/{user}")
        assert layer_digest(answer) == usual


def test_cache_and_scratch_on_a_tmpfs_without_user_attributes(machine: Machine, usual: str) -> None:
    # Before Linux 6.6 a tmpfs has none, so that an upper there cannot be opaque.
    with _doing(machine, "mkdir -m 1777 /run/t", "rm -rf /run/t"):
        for user in ("tester", "lone"):
            place = f"XDG_CACHE_HOME=/run/t/{user}"
            answer = run(machine, user, *_KEEP, name="owners", prefix=place)
            assert layer_digest(answer) == usual


def test_an_overlay_asked_for_where_none_can_be_is_refused(machine: Machine) -> None:
    place = "XDG_CACHE_HOME=/home/tester"
    refused = run(machine, "tester", "--rootfs", "overlay", prefix=place)
    _assert_refused(machine, refused, "overlay", "rootrun: hint: ")


_SETTINGS = {
    "kernel.unprivileged_userns_clone": "1",
    "user.max_user_namespaces": "10000",
    "user.max_mnt_namespaces": "10000",
    "user.max_pid_namespaces": "10000",
}


@pytest.mark.parametrize("user", ["tester", "lone"])
@pytest.mark.parametrize(
    "setting",
    [
        *("kernel.unprivileged_userns_clone", "user.max_user_namespaces"),
        "user.max_mnt_namespaces",
        "user.max_pid_namespaces",
    ],
)
def test_namespaces_that_are_off(user: str, setting: str, machine: Machine) -> None:
    path = f"/proc/sys/{setting.replace('.', '/')}"
    before = machine.succeed(f"cat {path}").strip()
    with _doing(machine, f"echo 0 > {path}", f"echo {before} > {path}"):
        answer = run(machine, user)
    reason = "Operation not permitted" if "clone" in setting else "No space left on device"
    # Of a limit above it, a user namespace sees only that it is reached.
    is_zero = "is 0, or reached" if "max_pid" in setting else "is 0"
    hint = f"{setting} {is_zero}: as root, sysctl {setting}={_SETTINGS[setting]}"
    _assert_refused(machine, answer, reason, f"rootrun: hint: {hint}\n", user=user)


def _assert_refused(
    machine: Machine, answer: Answer, error: str, hint: str, *, user: str = "tester"
) -> None:
    """Hold that a run ended with one error, one hint and no output."""
    stderr = answer.stderr
    assert (answer.status, answer.stdout) == (125, ""), stderr
    errors = [line for line in stderr.splitlines() if line.startswith("rootrun: error: ")]
    assert len(errors) == 1, stderr
    assert error in errors[0]
    assert hint in stderr
    assert stderr.count("rootrun: hint: ") <= 1
    assert machine.execute(f"ls /scratch/{user}/out.tar").status != 0
