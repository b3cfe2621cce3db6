"""Inside of podman's containers, where /proc is masked and everything is an overlay."""

from collections.abc import Iterator

import pytest

from vmtests.guest_runs import guest, layer_digest, run
from vmtests.images import CONTAINERS, kernel, rootfs
from vmtests.luggage import PLACE
from vmtests.machine import Machine
from vmtests.place import skipping

pytestmark = pytest.mark.vm

_PODMAN = (
    "podman --root /scratch/podman --runroot /run/podman run --rm --network none"
    " --cgroups=disabled -v /scratch:/scratch"
)
_SETTINGS = {
    "default": "",
    "user": "--user 1000:1000",
    "privileged": "--privileged",
    "unmasked": "--security-opt unmask=/proc/*",
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with podman, and a root for containers."""
    with skipping():
        made, tree = kernel("6.12"), rootfs(CONTAINERS)
    with guest(made, tree, tmp_path_factory.mktemp("containers")) as booted:
        # The root of a container is an overlay; ours is one of the guest's own root.
        booted.succeed(
            "mount --make-rshared / && mkdir -p /scratch/podman /scratch/u /scratch/w /root-of",
            "mount -t overlay -o lowerdir=/,upperdir=/scratch/u,workdir=/scratch/w none /root-of",
        )
        yield booted


@pytest.mark.parametrize("setting", _SETTINGS)
def test_a_run_in_a_container_makes_the_same_layer(setting: str, machine: Machine) -> None:
    expected = layer_digest(run(machine, "tester"))
    place = f"/scratch/in-{setting}"
    machine.succeed(f"mkdir -m 1777 {place}")
    command = (
        f"{_PODMAN} {_SETTINGS[setting]} -e HOME={place} --rootfs /root-of /bin/sh -c"
        f" 'cd {place} && {PLACE}/bin/rootrun --from {PLACE}/base.tar"
        f" --script {PLACE}/scripts/made.sh -o out.tar --json'"
    )
    answer = machine.execute(command, timeout_s=600)
    assert layer_digest(answer) == expected
