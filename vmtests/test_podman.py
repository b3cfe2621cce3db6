"""podman: rootrun inside its containers, where /proc is masked, and the images that it loads."""

import shlex
from collections.abc import Iterator

import pytest

from vmtests import loading
from vmtests.guest_runs import guest, layer_digest, run, shell_command
from vmtests.images import CONTAINERS, kernel, rootfs
from vmtests.loading import FACTS, IMAGE
from vmtests.machine import Machine
from vmtests.place import skipping

pytestmark = pytest.mark.vm

_VOLUME = "/scratch/inside"
_OWN_ROOT = "/var/tmp"
# Options of podman, and where rootrun has its cache and its scratch directory.
_SETTINGS = {
    "default": ("", _VOLUME),
    "default-in-own-root": ("", _OWN_ROOT),
    "user": ("--user 1000:1000", _VOLUME),
    "user-in-own-root": ("--user 1000:1000", _OWN_ROOT),
    "privileged": ("--privileged", _VOLUME),
    "unmasked": ("--security-opt unmask=/proc/*", _VOLUME),
}
_STORES = {
    "root": "podman --root /scratch/podman --runroot /run/podman",
    "tester": (
        "XDG_RUNTIME_DIR=/scratch/tester podman"
        " --root /scratch/tester/podman --runroot /scratch/tester/podman-run"
    ),
}
_RUN = "run --rm --network none --cgroups=disabled"
_TIMEOUT_S = 600


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with podman, and a root for containers."""
    with skipping():
        made, tree = kernel("6.12"), rootfs(CONTAINERS)
    tmp = tmp_path_factory.mktemp("podman")
    with guest(made, tree, tmp, files=loading.files(tmp)) as booted:
        # The root of a container is an overlay; ours is one of the guest's own root.
        booted.succeed(
            "mount --make-rshared / && mkdir -p /scratch/podman /scratch/u /scratch/w /root-of",
            f"mkdir -m 1777 {_VOLUME}",
            "mount -t overlay -o lowerdir=/,upperdir=/scratch/u,workdir=/scratch/w none /root-of",
        )
        yield booted


@pytest.fixture(scope="module")
def usual(machine: Machine) -> str:
    """The layer outside of containers."""
    return layer_digest(run(machine, "tester"))


@pytest.mark.parametrize("setting", _SETTINGS)
def test_a_run_in_a_container_makes_the_same_layer(
    setting: str, machine: Machine, usual: str
) -> None:
    options, parent = _SETTINGS[setting]
    place = f"{parent}/in-{setting}"
    inside = shlex.quote(f"mkdir {place} && {shell_command(place)}")
    command = f"{_STORES['root']} {_RUN} -v /scratch:/scratch {options} --rootfs /root-of"
    answer = machine.execute(f"{command} /bin/sh -c {inside}", timeout_s=_TIMEOUT_S)
    assert layer_digest(answer) == usual


@pytest.fixture(scope="module")
def image(machine: Machine) -> None:
    """An image that rootrun made, in the guest."""
    loading.make_image(machine)


@pytest.fixture(scope="module", params=_STORES)
def owner(request: pytest.FixtureRequest, machine: Machine, image: None) -> str:
    """Who has loaded the image."""
    user = str(request.param)
    machine.succeed(f"{_STORES[user]} load -i {IMAGE}", user=user, timeout_s=_TIMEOUT_S)
    return user


@pytest.fixture(scope="module")
def facts(owner: str, machine: Machine) -> dict[str, str]:
    """What the commands of the facts say in a container."""
    command = f"{_STORES[owner]} {_RUN} {loading.NAME}"
    return loading.facts(machine.succeed(command, user=owner, timeout_s=_TIMEOUT_S))


@pytest.mark.parametrize("fact", FACTS)
def test_a_container_of_the_image_has_what_the_script_made(
    fact: str, owner: str, facts: dict[str, str]
) -> None:
    # Users have no right to make devices: their podman passes them over.
    expected = "" if (fact, owner) == ("device", "tester") else FACTS[fact].said
    assert facts[fact] == expected


def test_podman_saves_the_layers_that_it_loaded(owner: str, machine: Machine) -> None:
    saved = f"/scratch/{owner}/saved.tar"
    machine.succeed(
        f"{_STORES[owner]} save -o {saved} {loading.NAME}", user=owner, timeout_s=_TIMEOUT_S
    )
    assert loading.diff_ids(machine, saved) == loading.diff_ids(machine, IMAGE)
