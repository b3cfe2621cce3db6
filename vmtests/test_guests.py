"""rootrun in guests of each kernel: the layer is the one that their real root makes."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from vmtests.cases import own_cases
from vmtests.guest_runs import BASE, guest, layer_digest, run
from vmtests.images import KERNELS, kernel
from vmtests.machine import Machine
from vmtests.oracle import OWNERS, Truth, run_as_real_root
from vmtests.place import skipping

pytestmark = pytest.mark.vm

_NAMES = ("deletions", "devices", "modes", "odd_names", "owners", "renames", "types", "users")
_CASES = [case for case in own_cases() if case.name in _NAMES]
_SHORT_NAMES = ("deletions", "owners")
_OLD = "5.10"
_WAYS = {
    "subids": ("tester",),
    "single": ("lone",),
    "root": ("root",),
    "copy": ("tester", "--rootfs", "copy"),
}


@pytest.fixture(scope="module")
def machine(
    request: pytest.FixtureRequest, basic_rootfs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A machine with the kernel that the test is for."""
    with skipping():
        made = kernel(request.param)
    tmp = tmp_path_factory.mktemp("guest")
    with guest(made, basic_rootfs, tmp, cases=_CASES) as booted:
        yield booted


@pytest.fixture(scope="module")
def truths(machine: Machine) -> Mapping[str, Truth]:
    """What the guest's own root makes."""
    return run_as_real_root(machine, BASE, [case.name for case in _CASES])


def _kernels() -> list[object]:
    return [pytest.param(n, marks=() if n == _OLD else pytest.mark.slow) for n in KERNELS]


def _names() -> list[object]:
    return [pytest.param(n, marks=pytest.mark.short if n in _SHORT_NAMES else ()) for n in _NAMES]


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("name", _names())
@pytest.mark.parametrize("machine", _kernels(), indirect=True, scope="module")
def test_the_layer_is_that_of_the_guests_root(
    machine: Machine, name: str, way: str, truths: Mapping[str, Truth]
) -> None:
    user, *options = _WAYS[way]
    for owner in OWNERS:
        expected = hashlib.sha256(truths[name].layers[owner]).hexdigest()
        answer = run(machine, user, "--owner", owner, *options, name=name)
        assert layer_digest(answer) == f"sha256:{expected}", owner


@pytest.mark.parametrize("machine", _kernels(), indirect=True, scope="module")
def test_nothing_is_left_behind(machine: Machine) -> None:
    answer = run(machine, "tester")
    layer_digest(answer)
    assert machine.succeed("grep -c rootrun /proc/mounts || :").strip() == "0"
    assert machine.succeed("ls -A /scratch/tester/cache/rootrun/scratch").split() == []
    assert machine.execute("pgrep -f /luggage/bin/rootrun").stdout == ""
