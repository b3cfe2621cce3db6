"""docker: rootrun inside its containers, and the images that it, skopeo and umoci load."""

import json
import shlex
from collections.abc import Iterator

import pytest

from vmtests import loading
from vmtests.control import Answer
from vmtests.guest_runs import guest, layer_digest, run, shell_command
from vmtests.images import DOCKER, kernel, rootfs
from vmtests.loading import FACTS, IMAGE
from vmtests.luggage import PLACE
from vmtests.machine import Machine
from vmtests.place import skipping

pytestmark = pytest.mark.vm

_TIMEOUT_S = 600
# Started apart: dockerd waits but 15 s for a containerd of its own.
_SOCKET = "/run/containerd/containerd.sock"
_DAEMON = (
    f"dockerd --containerd {_SOCKET} --data-root /scratch/docker --log-level warn"
    " --bridge=none --iptables=false --ip6tables=false"
)
_USERS = {"root": "", "user": "--user 1000:1000"}
_VOLUME = "/scratch/inside"
_OWN_ROOT = "/tmp"
_UNCONFINED = "--security-opt seccomp=unconfined"
# Options of docker that allow it, and where rootrun has its cache and its scratch directory.
_SETTINGS = {
    "unconfined": (_UNCONFINED, _VOLUME),
    "unconfined-in-own-root": (_UNCONFINED, _OWN_ROOT),
    "unconfined-user-in-own-root": (f"{_UNCONFINED} {_USERS['user']}", _OWN_ROOT),
    "privileged": ("--privileged", _VOLUME),
    "privileged-user": (f"--privileged {_USERS['user']}", _VOLUME),
}
# A root for containers, an overlay of docker's; what it lacks is mounted there.
_IMPORT = (
    f"mkdir -m 1777 {_VOLUME}"
    " && mkdir -p /scratch/host/usr /scratch/host/scratch && mkdir -m 1777 /scratch/host/tmp"
    f" && cp -a /bin /lib /lib64 /sbin /etc {PLACE} /scratch/host"
    " && tar -C /scratch/host -c . | docker import - host"
)
_RUN = "docker run --network none"
_MOUNTS = "-v /usr:/usr:ro -v /scratch:/scratch"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with docker's daemon and an image with this guest's programs."""
    with skipping():
        made, tree = kernel("6.12"), rootfs(DOCKER)
    tmp = tmp_path_factory.mktemp("docker")
    with guest(made, tree, tmp, files=loading.files(tmp)) as booted:
        booted.succeed("containerd --log-level warn > /dev/console 2>&1 &")
        booted.wait_until_succeeds(f"test -S {_SOCKET}", timeout_s=_TIMEOUT_S)
        booted.succeed(f"{_DAEMON} > /dev/console 2>&1 &")
        booted.wait_until_succeeds("docker version", timeout_s=_TIMEOUT_S)
        booted.succeed(_IMPORT, timeout_s=_TIMEOUT_S)
        yield booted


def _run_inside(machine: Machine, options: str, place: str) -> Answer:
    """Run rootrun in a container that is left as ``inside``."""
    inside = shlex.quote(f"mkdir {place} && {shell_command(place)}")
    command = f"{_RUN} --name inside {_MOUNTS} {options} host /bin/sh -c {inside}"
    return machine.execute(command, timeout_s=_TIMEOUT_S)


@pytest.fixture
def gone_afterwards(machine: Machine) -> Iterator[None]:
    """Remove the container of ``_run_inside``."""
    yield
    machine.succeed("docker rm -f inside")


@pytest.fixture(scope="module")
def usual(machine: Machine) -> str:
    """The layer outside of containers."""
    return layer_digest(run(machine, "tester"))


@pytest.mark.usefixtures("gone_afterwards")
@pytest.mark.parametrize("user", _USERS.values(), ids=_USERS)
def test_the_default_profile_is_named_and_nothing_is_left(user: str, machine: Machine) -> None:
    answer = _run_inside(machine, user, "/tmp/in")
    assert (answer.status, answer.stdout) == (125, "")
    assert answer.stderr == (
        "rootrun: error: create user namespace: Operation not permitted\n"
        "rootrun: hint: docker's default seccomp profile, or another filter, forbids user"
        " namespaces: docker run --security-opt seccomp=unconfined or --privileged allows them\n"
    )
    # The cache is made, and empty.
    cache = ["/tmp/in/cache", "/tmp/in/cache/rootrun", "/tmp/in/cache/rootrun/scratch"]
    expected = {"C /tmp", "A /tmp/in", *(f"A {path}" for path in cache)}
    assert set(machine.succeed("docker diff inside").splitlines()) == expected


@pytest.mark.usefixtures("gone_afterwards")
@pytest.mark.parametrize("setting", _SETTINGS)
def test_a_run_in_a_container_makes_the_same_layer(
    setting: str, machine: Machine, usual: str
) -> None:
    options, parent = _SETTINGS[setting]
    answer = _run_inside(machine, options, f"{parent}/{setting}")
    assert layer_digest(answer) == usual


@pytest.fixture(scope="module")
def loaded(machine: Machine) -> None:
    """The image that rootrun made, loaded into docker."""
    loading.make_image(machine)
    machine.succeed(f"docker load -i {IMAGE}", timeout_s=_TIMEOUT_S)


@pytest.fixture(scope="module")
def facts(loaded: None, machine: Machine) -> dict[str, str]:
    """What the commands of the facts say in docker's container."""
    return loading.facts(machine.succeed(f"{_RUN} --rm {loading.NAME}", timeout_s=_TIMEOUT_S))


@pytest.mark.parametrize("fact", FACTS)
def test_a_container_of_the_image_has_what_the_script_made(
    fact: str, facts: dict[str, str]
) -> None:
    assert facts[fact] == FACTS[fact].said


def test_docker_saves_the_layers_that_it_loaded(loaded: None, machine: Machine) -> None:
    machine.succeed(f"docker save -o /scratch/saved.tar {loading.NAME}", timeout_s=_TIMEOUT_S)
    assert loading.diff_ids(machine, "/scratch/saved.tar") == loading.diff_ids(machine, IMAGE)


@pytest.fixture(scope="module")
def layout(loaded: None, machine: Machine) -> str:
    """The image as skopeo writes it into an OCI layout."""
    copy = f"skopeo copy -q docker-archive:{IMAGE} oci:/scratch/layout:1"
    machine.succeed(copy, timeout_s=_TIMEOUT_S)
    return "/scratch/layout:1"


def test_skopeo_copies_the_same_layers(layout: str, machine: Machine) -> None:
    config = json.loads(machine.succeed(f"skopeo inspect --config oci:{layout}"))
    assert config["rootfs"]["diff_ids"] == loading.diff_ids(machine, IMAGE)


# umoci wants a terminal, leaves out what su(1) needs, and forbids programs to gain capabilities.
_CHANGE_BUNDLE = """
import json
path = "/scratch/bundle/config.json"
config = json.load(open(path))
config["process"] |= {"terminal": False, "noNewPrivileges": False}
for names in config["process"]["capabilities"].values():
    names += ["CAP_SETUID", "CAP_SETGID"]
json.dump(config, open(path, "w"))
"""


@pytest.fixture(scope="module")
def unpacked_facts(layout: str, machine: Machine) -> dict[str, str]:
    """What the commands of the facts say in a container that umoci unpacked and runc runs."""
    machine.succeed(f"umoci unpack --image {layout} /scratch/bundle", timeout_s=_TIMEOUT_S)
    machine.python(_CHANGE_BUNDLE)
    said = machine.succeed("runc run --bundle /scratch/bundle unpacked", timeout_s=_TIMEOUT_S)
    return loading.facts(said)


@pytest.mark.parametrize("fact", FACTS)
def test_what_umoci_unpacks_has_what_the_script_made(
    fact: str, unpacked_facts: dict[str, str]
) -> None:
    assert unpacked_facts[fact] == FACTS[fact].said
