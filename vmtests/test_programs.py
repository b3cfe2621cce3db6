"""Real programs, and what they make of a Debian: the same for a real root and for users."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.programs.difference import difference, differing
from tests.e2e.programs.pair import LAYOUT, Pair
from tests.support.images import docker_archive
from tests.support.packages import SERVICES, offline_options
from vmtests.cases import install_case, program_cases, selected
from vmtests.images import Kernel
from vmtests.oracle import OWNERS, Case, Truth, real_root

pytestmark = [pytest.mark.vm, pytest.mark.slow]

_CASES = program_cases()
_FULL = ("--emulate", "full")
# What scripts write of the kernel they run on, which no root can help (see REPRODUCIBILITY).
_OF_THE_KERNEL = {
    "services": {"run/motd.dynamic"},  # the version
    "copying": {"said"},  # tar lists a directory in the order of readdir(3)
    "devices": {"said"},  # and makes its columns wider on the way
}


@pytest.fixture(scope="module")
def truths(
    request: pytest.FixtureRequest,
    usual_kernel: Kernel,
    basic_rootfs: Path,
    pair: Pair,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, Truth]:
    """What each script came to as a real root."""
    tmp = tmp_path_factory.mktemp("programs")
    base = docker_archive(tmp / "base.tar", _layers(pair, "tools"))
    return real_root(usual_kernel, basic_rootfs, base, selected(request, _CASES), tmp=tmp)


def _layers(pair: Pair, image: str) -> list[bytes]:
    """Return the layers of an image of ``pair``, uncompressed."""
    from backports import zstd

    layout = pair.many.path / LAYOUT
    index = json.loads((layout / "index.json").read_bytes())
    names = [
        entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]
    ]
    manifest = json.loads(_blob(layout, index["manifests"][names.index(image)]["digest"]))
    return [zstd.decompress(_blob(layout, layer["digest"])) for layer in manifest["layers"]]


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_programs_make_what_they_make_as_a_real_root(
    case: Case, truths: Mapping[str, Truth], pair: Pair
) -> None:
    truth = truths[case.name]
    assert truth.status == 0, truth.said
    many, lone = pair.layers(case.name, base="tools", many=_FULL, lone=_FULL)
    for name, found in (("many ids", many), ("one id", lone)):
        allowed = _OF_THE_KERNEL.get(case.name, set())
        unlike = set(differing(truth.layers["keep"], found)) - allowed
        assert not unlike, f"{name}: {unlike}\n{difference(truth.layers['keep'], found)}"


def test_packages_with_services_are_installed_as_by_a_real_root(
    usual_kernel: Kernel, basic_rootfs: Path, pair: Pair, repository: Path, tmp_path: Path
) -> None:
    case = install_case()
    base = docker_archive(tmp_path / "base.tar", _layers(pair, case.base))
    truth = real_root(
        usual_kernel, basic_rootfs, base, [case], tmp=tmp_path, repository=repository
    )[case.name]
    assert truth.status == 0, truth.said
    options = (*offline_options(repository), "--env", f"PACKAGES={' '.join(SERVICES)}")
    for owner in OWNERS:
        made = pair.layers(
            case.name, *options, "--owner", owner, base=case.base, many=_FULL, lone=_FULL
        )
        for name, found in zip(("many ids", "one id"), made, strict=True):
            unlike = difference(truth.layers[owner], found)
            assert not unlike, f"{name}, --owner {owner}:\n{unlike}"
