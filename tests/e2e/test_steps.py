"""Several scripts make several layers, each on those before it, or one with --squash."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid, layer_names
from tests.support.tarball import directory, file, tarball
from tests.support.workplace import Workplace, busybox_layer, config_of, layers_of, manifest_of

pytestmark = pytest.mark.userns

FIRST = """\
set -e
mkdir /d; echo 1 > /d/kept; echo 1 > /d/changed; echo 1 > /d/deleted; ln -s kept /d/link
chmod 4755 /d/kept; mkfifo /d/pipe; rm -r /srv/old
"""
SECOND = """\
set -e
test "$(cat /d/deleted)" = 1; test -u /d/kept; test -p /d/pipe; test ! -e /srv/old
rm /d/deleted; echo 2 >> /d/changed; mkdir /srv/old; touch /srv/old/new; touch /d/kept
"""
THIRD = """\
set -e
test "$(cat /d/changed | tr '\\n' ' ')" = "1 2 "; test ! -e /d/deleted; test ! -e /srv/old/file
rm -r /d; echo 3 > /srv/file
"""
SCRIPTS = {"first.sh": FIRST, "second.sh": SECOND, "third.sh": THIRD}
NAMES = [
    ["d", "d/changed", "d/deleted", "d/kept", "d/link", "d/pipe", "srv", "srv/.wh.old"],
    ["d", "d/.wh.deleted", "d/changed", "srv", "srv/old", "srv/old/new"],
    [".wh.d", "srv", "srv/file"],
]
"""The entries of the layers that the scripts make."""


def base_of(place: Workplace) -> Path:
    """Write a base with something to delete."""
    more = tarball(
        directory("srv"), file("srv/file", b"0\n"), directory("srv/old"), file("srv/old/file")
    )
    return place.base("base.tar", busybox_layer(), more)


def run_scripts(
    place: Workplace, *args: str | Path, scripts: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run scripts on the base, one after the other, whatever comes of it."""
    if not (place.path / "base.tar").exists():
        base_of(place)
    options: list[str] = []
    for name, content in (scripts or SCRIPTS).items():
        place.write(name, content)
        options += ["--script", name]
    given = ("--from", "base.tar", *options, "--cache-dir", "cache", *place.options, *args)
    return place.run(*given)


def made(place: Workplace, *args: str | Path, scripts: dict[str, str] | None = None) -> Path:
    """Run scripts, which must work, and return the image."""
    done = run_scripts(place, "-o", "out.tar", *args, scripts=scripts)
    assert done.returncode == 0, done.stderr.decode()
    return place.path / "out.tar"


def test_each_script_makes_a_layer_of_what_it_changed(any_workplace: Workplace) -> None:
    image = assert_image_valid(made(any_workplace))
    assert [layer_names(layer) for layer in image.layers[2:]] == NAMES


def test_history_has_an_entry_for_each_layer(workplace: Workplace) -> None:
    history = config_of(made(workplace))["history"]
    assert isinstance(history, list)
    assert [entry["created_by"] for entry in history[-3:]] == [
        f"rootrun --script {name}" for name in SCRIPTS
    ]


def test_squashed_they_make_one_layer_and_one_entry(any_workplace: Workplace) -> None:
    image = made(any_workplace, "--squash")
    assert len(layers_of(image)) == 3
    assert layer_names(layers_of(image)[-1]) == [
        "srv",
        "srv/file",
        "srv/old",
        "srv/old/.wh.file",
        "srv/old/new",
    ]
    history = config_of(image)["history"]
    assert isinstance(history, list)
    assert history[-1]["created_by"] == "rootrun " + " ".join(f"--script {n}" for n in SCRIPTS)


def test_layers_are_those_of_runs_one_after_the_other(any_workplace: Workplace) -> None:
    together = layers_of(made(any_workplace))
    previous: Path | str = "base.tar"
    for name, content in SCRIPTS.items():
        any_workplace.write("setup.sh", content)
        previous = any_workplace.build(content, base=previous, output=f"{name}.tar")
    assert layers_of(Path(previous)) == together


@pytest.mark.parametrize("output", ["oci:out", "oci-archive:out.oci"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_every_output_has_all_layers(output: str, compression: str, workplace: Workplace) -> None:
    plain = layers_of(made(workplace))
    done = run_scripts(workplace, "-o", output, "--compression", compression, "--json")
    assert done.returncode == 0, done.stderr.decode()
    image = assert_image_valid(workplace.path / output.partition(":")[2])
    assert image.layers == plain
    told = json.loads(done.stdout)["layers"]
    assert [layer["diffId"] for layer in told] == image.diff_ids[-3:]
    assert [layer["entries"] for layer in told] == [len(names) for names in NAMES]


def test_scripts_that_change_nothing_make_layers_that_are_stored_once(
    workplace: Workplace,
) -> None:
    image = made(workplace, scripts={"a.sh": "true\n", "b.sh": "echo\n"})
    assert layers_of(image)[-1] == layers_of(image)[-2]
    layers = manifest_of(image)["Layers"]
    assert isinstance(layers, list)
    assert layers[-1] == layers[-2]
    assert_image_valid(image)


def test_a_layer_that_comes_twice_counts_where_it_is_on_top(any_workplace: Workplace) -> None:
    scripts = {
        "make.sh": "echo 1 > /f\n",
        "remove.sh": "rm /f\n",
        "again.sh": "test ! -e /f; echo 1 > /f\n",
        "look.sh": "cat /f > /seen\n",
    }
    image = made(any_workplace, scripts=scripts)
    layers = layers_of(image)
    assert layers[2] == layers[4]
    assert layer_names(layers[5]) == ["seen"]


def test_owners_and_devices_are_there_for_the_next_script(any_workplace: Workplace) -> None:
    scripts = {
        "make.sh": "touch /f; chown 12:34 /f; mknod /null c 1 3\n",
        "look.sh": "set -e; stat -c %u:%g /f > /said; test -c /null; mv /f /g\n",
    }
    layers = layers_of(made(any_workplace, "--owner", "keep", scripts=scripts))
    assert layer_names(layers[-1]) == [".wh.f", "g", "said"]
    assert b"12:34\n" in layers[-1]


def test_copies_are_in_the_layer_of_the_first_script(any_workplace: Workplace) -> None:
    any_workplace.write("brought", "x\n")
    scripts = {"a.sh": "test -e /opt/brought\n", "b.sh": "test -e /opt/brought; touch /b\n"}
    layers = layers_of(made(any_workplace, "--copy", "brought:/opt/", scripts=scripts))
    assert [layer_names(layer) for layer in layers[2:]] == [["opt", "opt/brought"], ["b"]]


def test_a_script_that_fails_leaves_no_image_and_the_rest_is_not_run(
    any_workplace: Workplace,
) -> None:
    scripts = {"a.sh": "touch /a\n", "b.sh": "exit 7\n", "c.sh": "echo never >&2\n"}
    done = run_scripts(any_workplace, "-o", "out.tar", scripts=scripts)
    assert done.returncode == 7
    assert b"run script: b.sh: ended with status 7" in done.stderr
    assert b"never" not in done.stderr
    assert not (any_workplace.path / "out.tar").exists()


def test_all_layers_count_for_max_layers(workplace: Workplace) -> None:
    assert len(layers_of(made(workplace, "--max-layers", "5"))) == 5
    done = run_scripts(workplace, "-o", "out.tar", "--max-layers", "4")
    assert done.returncode == 125
    assert b"with 3 new ones that makes 5" in done.stderr
    assert b"--squash" in done.stderr
    assert len(layers_of(made(workplace, "--max-layers", "3", "--squash"))) == 3


def test_the_timeout_is_that_of_all_scripts_together(workplace: Workplace) -> None:
    scripts = {"a.sh": "sleep 2\n", "b.sh": "sleep 2\n"}
    done = run_scripts(workplace, "-o", "out.tar", "--timeout", "3", scripts=scripts)
    assert done.returncode == 124
    assert b"run b.sh" in done.stderr
    assert not (workplace.path / "out.tar").exists()


def test_usage_is_that_of_all_scripts(workplace: Workplace) -> None:
    done = run_scripts(
        workplace, "-o", "out.tar", "--json", scripts={"a.sh": "sleep 1\n", "b.sh": "sleep 1\n"}
    )
    usage = json.loads(done.stdout)["usage"]
    assert usage["wallSeconds"] >= 2
    assert usage["processes"] >= 4


def test_each_layer_is_checked(any_workplace: Workplace) -> None:
    plain = made(any_workplace).read_bytes()
    assert made(any_workplace, "--check").read_bytes() == plain
    scripts = {"a.sh": "touch /a\n", "b.sh": "cat /proc/sys/kernel/random/uuid > /b\n"}
    done = run_scripts(any_workplace, "-o", "new.tar", "--check", scripts=scripts)
    assert done.returncode == 125
    assert b"check: 'b': content" in done.stderr
    assert not (any_workplace.path / "new.tar").exists()


def test_layers_of_scripts_are_not_left_in_the_cache(any_workplace: Workplace) -> None:
    made(any_workplace)
    listed = any_workplace.run("cache", "list", "--json", "--cache-dir", "cache")
    found = json.loads(listed.stdout)
    assert len(found["layers"]) == 2
    assert found["steps"] == []


def test_nothing_is_left_without_a_cache(any_workplace: Workplace) -> None:
    place = any_workplace
    plain = made(place).read_bytes()
    home_before = sorted(path.name for path in place.path.iterdir())
    (place.path / "work").mkdir()
    place.own(place.path / "work")
    assert made(place, "--no-cache", "--tmpdir", "work").read_bytes() == plain
    assert list((place.path / "work").iterdir()) == []
    assert sorted(path.name for path in place.path.iterdir()) == sorted([*home_before, "work"])
