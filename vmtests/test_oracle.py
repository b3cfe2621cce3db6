"""The layer of a run is the one that a real root makes in a virtual machine, whoever runs it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.programs.difference import difference
from tests.support.images import docker_archive, oci_layout
from tests.support.users import Account
from tests.support.workplace import Workplace
from vmtests.cases import own_cases, random_cases, selected
from vmtests.images import Kernel
from vmtests.oracle import OWNERS, Case, Truth, busybox_layers, real_root

pytestmark = pytest.mark.vm

_CASES = [*own_cases(), *random_cases()]
_SHORT = {"owners", "deletions", "devices", "modes", "odd_names", "users", "random-3"}
# Where no run in a user namespace can do as a real root, with the reason.
_LET_IN = "with one id, users that busybox changes to are let into what is closed to them"
_WRITTEN = (
    "a write takes the set-id bits of a file from all but those with CAP_FSETID in the initial"
    " user namespace (setattr_should_drop_suidgid in fs/attr.c)"
)
_DIFFERENT = {"set_id_written": _WRITTEN, "set_id_copied": _WRITTEN}
_LAYOUT = "images"

Truths = Mapping[str, Truth]


def _short(cases: list[Case]) -> list[object]:
    """Return ``cases`` as parameters, with the marks of what CI runs and what cannot be."""
    return [pytest.param(case, id=case.name, marks=list(_marks(case))) for case in cases]


def _marks(case: Case) -> Iterator[pytest.MarkDecorator]:
    if case.name in _SHORT:
        yield pytest.mark.short
    if case.name in _DIFFERENT:
        yield pytest.mark.xfail(reason=_DIFFERENT[case.name], raises=AssertionError)


@pytest.fixture(scope="module")
def busybox_truths(
    request: pytest.FixtureRequest,
    usual_kernel: Kernel,
    basic_rootfs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Truths:
    """What the scripts on a busybox came to, those that are to be tested."""
    cases = selected(request, _CASES)
    tmp = tmp_path_factory.mktemp("oracle")
    base = docker_archive(tmp / "base.tar", busybox_layers())
    return real_root(usual_kernel, basic_rootfs, base, cases, tmp=tmp)


@pytest.fixture(scope="module")
def busybox_places(
    tester: Account, lone: Account, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Workplace]:
    """A workplace of each kind of caller, with a layout of the base."""
    return {
        "subids": _place(tester.new_directory(), tester),
        "single": _place(lone.new_directory(), lone),
        "root": _place(tmp_path_factory.mktemp("root"), None),
    }


def _place(path: Path, account: Account | None) -> Workplace:
    place = Workplace(path=path, account=account)
    oci_layout(path / _LAYOUT, busybox_layers(), ref="base")
    for made in (path / _LAYOUT, *(path / _LAYOUT).rglob("*")):
        place.own(made)
    return place


def _layer(place: Workplace, case: Case, *args: str) -> bytes:
    """Run a case, and return the new layer; the output joins the layout."""
    script = place.write(f"{case.name}.sh", case.script)
    images = ("--from", f"oci:{_LAYOUT}:base", "-o", f"oci:{_LAYOUT}:made")
    done = place.run(*images, "--script", script, "--json", "--timeout", "300", *args)
    assert done.returncode == 0, done.stderr.decode()
    digest = str(json.loads(done.stdout)["layers"][-1]["digest"]).removeprefix("sha256:")
    return (place.path / _LAYOUT / "blobs/sha256" / digest).read_bytes()


_WAYS = {
    "root": ("root",),
    "subids": ("subids",),
    "subids full": ("subids", "--emulate", "full"),
    "single": ("single",),
    "copy": ("subids", "--rootfs", "copy"),
    "single copy": ("single", "--rootfs", "copy"),
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("case", _short(_CASES))
def test_the_layer_is_that_of_a_real_root(
    case: Case,
    way: str,
    busybox_truths: Truths,
    busybox_places: Mapping[str, Workplace],
    request: pytest.FixtureRequest,
) -> None:
    if case.name == "switching" and _WAYS[way][0] == "single":
        request.applymarker(pytest.mark.xfail(reason=_LET_IN, raises=AssertionError))
    truth = busybox_truths[case.name]
    assert truth.status == 0, truth.said
    caller, *options = _WAYS[way]
    for owner in OWNERS:
        found = _layer(busybox_places[caller], case, "--owner", owner, *options)
        differing = difference(truth.layers[owner], found)
        assert not differing, f"--owner {owner}:\n{differing}"
