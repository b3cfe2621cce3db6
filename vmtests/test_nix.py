"""In the sandbox of Nix 2.26, set up in each of its ways: the layer is the one from outside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.programs.difference import difference
from tests.e2e.test_nix import HELD_BY_NO_DISK
from tests.support.images import docker_archive
from tests.support.workplace import layers_of
from vmtests.cases import own_cases
from vmtests.guest_runs import guest, layer_digest, run
from vmtests.images import NIX, kernel, rootfs
from vmtests.luggage import PLACE
from vmtests.machine import Machine
from vmtests.nix_builds import SETTINGS, build, example, set_up, shell_build
from vmtests.oracle import OWNERS, busybox_layers
from vmtests.place import CHECKOUT, skipping

pytestmark = pytest.mark.vm

_NAMES = (
    "archives",
    "devices",
    "modes",
    "odd_names",
    "owners",
    "renames",
    "set_id_copied",
    "users",
)
_CASES = [case for case in own_cases() if case.name in _NAMES]
# The guest's programs, for what busybox has none for.
_PROGRAMS = "--bind /usr:/usr:ro --bind /usr/lib:/lib:ro --bind /usr/lib64:/lib64:ro"
_EVERYTHING = """\
#!/usr/bin/dash -e
    PATH=/usr/bin:/usr/sbin:/bin
    mkdir -m 700 /n /n/d; echo > /n/f; chown -R 1000:2000 /n; chmod 2775 /n/d; chmod 6755 /n/f
    busybox su app -c 'mkdir /n/d/e; echo > /n/d/g; chmod 4711 /n/d/g'
    ln /n/f /n/hard; ln /old/setuid-data /old/another; mkfifo -m 622 /n/p; mknod /n/null c 1 3
    rm -r /tree/one /deep /old/hard1; mkdir /deep /tree/one; echo > /tree/one/new
    setfattr -n user.note -v one /n/f; setfattr -n user.note -v two /s/g
    setfattr -x user.x /c/a; setcap cap_net_raw+ep /n/d/g; chown 9 /c/b; echo >> /s/b
    chmod 4755 /old/suid; cp -a /n/f /n/copy; mv /s/a /s/z; rm /base-dev/null
    cp --preserve=all /c/c /n/capable
    getfattr --absolute-names -d -m 'user|security' /n/f /n/copy /n/d/g /s/g /c/a /c/b > /attributes
    stat -c '%n %a %u:%g' /n /n/* /n/d/* /s/* /c/* /old/* > /said
"""
_FACTS = """
    echo ids $(cut -c 23- /proc/self/uid_map)
    echo $(grep NoNewPrivs /proc/self/status)
    touch $out; chmod 4755 $out || :; chmod 755 $out
    setfattr -n user.x -v 1 $out || :
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with Nix, the example, and a base with all that a disk may not hold."""
    with skipping():
        made, tree = kernel("6.12"), rootfs(NIX)
    tmp = tmp_path_factory.mktemp("nix")
    base = docker_archive(tmp / "rich.tar", [*busybox_layers(), HELD_BY_NO_DISK])
    files: dict[str, Path | str] = {"rich.tar": base, "scripts/everything.sh": _EVERYTHING}
    files["image.nix"] = CHECKOUT / "examples" / "image.nix"
    with guest(made, tree, tmp, cases=_CASES, files=files) as booted:
        set_up(booted)
        yield booted


def _layer_of(machine: Machine, image: str, tmp: Path) -> bytes:
    """Return the last layer of a docker-archive in the guest."""
    (tmp / "image.tar").write_bytes(machine.get(image))
    return layers_of(tmp / "image.tar")[-1]


def _differing(
    machine: Machine, setting: str, *, script: str, options: str, tmp: Path
) -> tuple[str, str]:
    """Return how a layer of the example differs from that of outside, and what the build said."""
    expression = example(SETTINGS[setting], script=script, options=options)
    built = build(machine, SETTINGS[setting], expression)
    found = _layer_of(machine, built.stdout, tmp)
    outside = run(machine, "tester", *options.split(), name=script, base=f"{PLACE}/rich.tar")
    layer_digest(outside)
    return difference(_layer_of(machine, "/scratch/tester/out.tar", tmp), found), built.stderr


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_sandbox_is_one(setting: str, machine: Machine) -> None:
    said = build(machine, SETTINGS[setting], shell_build(SETTINGS[setting], _FACTS)).stderr
    assert f"ids {65536 if setting == 'uid-range' else 1}\n" in said
    assert "NoNewPrivs: 1\n" in said
    assert "Operation not permitted\n" in said
    assert "Operation not supported\n" in said


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_the_layer_of_the_example_is_that_from_outside_and_reproducible(
    setting: str, owner: str, machine: Machine, tmp_path: Path
) -> None:
    options = f"--owner {owner} {_PROGRAMS}"
    differing, said = _differing(
        machine, setting, script="everything", options=options, tmp=tmp_path
    )
    assert not differing
    assert f"id map: {'root' if setting == 'uid-range' else 'single'}: " in said
    expression = example(SETTINGS[setting], script="everything", options=options)
    build(machine, SETTINGS[setting], expression, "--check")


@pytest.mark.parametrize("setting", ["single user", "uid-range"])
@pytest.mark.parametrize("name", _NAMES)
def test_the_layer_of_a_script_is_that_from_outside(
    name: str, setting: str, machine: Machine, tmp_path: Path
) -> None:
    differing, _ = _differing(machine, setting, script=name, options="--owner keep", tmp=tmp_path)
    assert not differing
