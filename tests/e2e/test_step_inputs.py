"""What a layer depends on is an input of the cache of steps, and nothing else is."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.nix_closure import Closure, make_closure, nix
from tests.support.steps import HARMLESS, ONE, SCRIPTS, Steps
from tests.support.tarball import file, tarball
from tests.support.workplace import Workplace, busybox_layer, config_of, layers_of

pytestmark = pytest.mark.userns


@pytest.fixture
def steps(workplace: Workplace) -> Steps:
    """Steps of an account with subordinate ids."""
    return Steps(workplace)


def test_the_name_of_a_script_is_no_input_but_stands_in_the_history(steps: Steps) -> None:
    steps.taken(scripts={"one.sh": ONE})
    layers = layers_of(steps.image)
    assert steps.taken(scripts={"renamed.sh": ONE}) == [True]
    assert layers_of(steps.image) == layers
    history = config_of(steps.image)["history"]
    assert isinstance(history, list)
    assert history[-1]["created_by"] == "rootrun --script renamed.sh"


@pytest.mark.root
def test_id_maps_share_their_steps(root_workplace: Workplace) -> None:
    steps = Steps(root_workplace)
    stable = {"one.sh": "echo 1 > /f; chown 5:6 /f; mknod /null c 1 3\n"}
    options = ("--owner", "keep")
    assert steps.taken(*options, "--idmap", "root", scripts=stable) == [False]
    made = steps.image.read_bytes()
    for other in (("--idmap", "single"), ("--rootfs", "copy"), ("--memory", "1G")):
        assert steps.taken(*options, *other, scripts=stable) == [True]
        assert steps.image.read_bytes() == made
    assert steps.taken(*options, "--idmap", "single", scripts={"one.sh": "true\n"}) == [False]


CHANGES: dict[str, tuple[str, ...]] = {
    "--timestamp": ("--timestamp", "7"),
    "--owner": ("--owner", "keep"),
    "--compression": ("--compression", "gzip"),
    "--owner and --compat": ("--compat", "dockertools"),
    "the environment": ("--env", "A=1"),
    "the environment and --workdir": ("--workdir", "/tmp", "--env", "A=1"),
    "--user": ("--user", "app"),
    "--tmpfs": ("--tmpfs", "/mnt/t"),
    "--seccomp": ("--seccomp", "off"),
    "--no-new-privs": ("--no-new-privs",),
    "--emulate and the id map": ("--emulate", "record"),
    "the content of --copy": ("--copy", "brought"),
    "the content of --with": ("--with", "tmp", "--with", "fake-nss"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_option_that_can_change_the_layer_misses_and_is_named(what: str, steps: Steps) -> None:
    steps.place.write("brought", "x\n")
    steps.taken(scripts={"x.sh": HARMLESS})
    (told,) = steps.reason(*CHANGES[what], scripts={"x.sh": HARMLESS})
    assert told == f"x.sh: miss: {what} changed since the last run of this step"
    assert steps.taken(*CHANGES[what], scripts={"x.sh": HARMLESS}) == [True]
    assert steps.taken(scripts={"x.sh": HARMLESS}) == [True]


def test_options_that_change_only_the_image_do_not_miss(steps: Steps) -> None:
    steps.taken()
    options = ("--label", "a=b", "--cmd", "x", "--created", "@5", "-t", "x/y:1", "--timeout", "60")
    assert steps.taken(*options) == [True, True]


def test_what_missed_is_told(steps: Steps) -> None:
    assert steps.reason() == [
        "one.sh: miss: no such step was run before",
        "two.sh: miss: no such step was run before",
    ]
    first, second = steps.reason(scripts={**SCRIPTS, "one.sh": ONE + "# more\n"})
    assert first == "one.sh: miss: the script changed since the last run of this step"
    assert second == "two.sh: miss: the layers below changed since the last run of this step"
    hits = steps.reason()
    assert all(re.fullmatch(r"(one|two)\.sh: layer sha256:\w{64}", told) for told in hits)
    steps.place.base("base.tar", busybox_layer(file("bin/yes")), tarball(file("more")))
    first, _ = steps.reason()
    assert first == "one.sh: miss: the layers below changed since the last run of this step"


COPIED: dict[str, Callable[[Path], object]] = {
    "content": lambda top: (top / "sub" / "file").write_text("changed"),
    "mode": lambda top: (top / "sub" / "file").chmod(0o600),
    "mode of a directory": lambda top: (top / "sub").chmod(0o700),
    "name": lambda top: (top / "sub" / "file").rename(top / "sub" / "other"),
    "another": lambda top: (top / "sub" / "more").touch(),
    "link": lambda top: os.replace(top / "elsewhere", top / "link"),
    "type": lambda top: os.replace(top / "sub" / "file", top / "link"),
}


@pytest.mark.parametrize("case", COPIED)
def test_what_copies_bring_is_an_input(case: str, steps: Steps) -> None:
    top = steps.place.path / "brought"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "file").write_text("x")
    (top / "link").symlink_to("sub")
    (top / "elsewhere").symlink_to("elsewhere")
    for path in (top, *top.rglob("*")):
        steps.place.own(path)
    option = ("--copy", "brought:/opt")
    assert steps.taken(*option) == [False, False]
    os.utime(top / "sub" / "file", (5, 5))
    assert steps.taken(*option) == [True, True]
    COPIED[case](top)
    for path in top.rglob("*"):
        steps.place.own(path)
    assert steps.taken(*option)[0] is False


@pytest.mark.peers
def test_what_is_made_and_registered_is_an_input(steps: Steps) -> None:
    steps.place.write("bundle", "x\n")
    helper = ("--with", "ca-certificates=bundle")
    first = make_closure(steps.place)
    steps.place.write("registration", first.registration)
    options = (*first.copies, "--nix-db", "registration", *helper)
    assert steps.taken(*options) == [False, False]
    assert steps.taken(*options) == [True, True]
    steps.place.write("bundle", "y\n")
    (told, _) = steps.reason(*options)
    assert told == "one.sh: miss: the content of --with changed since the last run of this step"
    steps.place.write("registration", one_of(first))
    (told, _) = steps.reason(*options)
    assert told == "one.sh: miss: the content of --nix-db changed since the last run of this step"


def one_of(closure: Closure) -> bytes:
    """Return the registration of a path that refers to none."""
    path = next(path for path in closure.paths if path.endswith("-source"))
    return nix(closure.place, "nix-store", closure.root, "--dump-db", path).encode()
