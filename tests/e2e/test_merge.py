"""Several images in one archive, and each of them out of it again."""

import gzip
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.require import require_program
from tests.support.tarball import file, tarball
from tests.support.workplace import Workplace, busybox_layer

LOWER, UPPER, OTHER = (tarball(file(name, name.encode())) for name in ("lower", "upper", "other"))


@pytest.fixture
def images(root_workplace: Workplace) -> Workplace:
    """A place with three images that have a layer in common."""
    root_workplace.base("one.tar", LOWER, UPPER, names=["one:1"], config={"Env": ["N=1"]})
    root_workplace.base("two.tar", LOWER, UPPER, names=["two:1"], config={"Env": ["N=2"]})
    root_workplace.base("three.tar", LOWER, OTHER, names=["host:5000/three:1", "three:2"])
    return root_workplace


def merged(workplace: Workplace, *args: str, output: str = "m.tar") -> list[str]:
    """Merge, and return what was printed."""
    done = workplace.run("merge", *args, "-o", output)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def document(archive: Path, name: str) -> object:
    """Return a JSON document in an archive."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile(name)
        assert member is not None
        return json.loads(member.read())


def copied(source: str, directory: Path) -> dict[str, object]:
    """Copy an image out by skopeo, and return its configuration."""
    skopeo = require_program("skopeo")
    subprocess.run([skopeo, "copy", "--quiet", source, f"oci:{directory}:x"], check=True)
    done = subprocess.run(
        [skopeo, "inspect", "--config", f"oci:{directory}:x"], check=True, capture_output=True
    )
    config = json.loads(done.stdout)
    assert isinstance(config, dict)
    return config


@pytest.mark.root
@pytest.mark.peers
@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_each_image_comes_out_by_its_name(transport: str, images: Workplace) -> None:
    ids = merged(images, "one.tar", "two.tar", "three.tar", output=f"{transport}:m.tar")
    assert len(set(ids)) == 3
    archive = images.path / "m.tar"
    for name, env in {"one:1": ["N=1"], "two:1": ["N=2"], "three:2": None}.items():
        config = copied(f"{transport}:{archive}:{name}", images.path / name.replace(":", "-"))
        own = config.get("config", {})
        assert isinstance(own, dict)
        assert own.get("Env") == env


@pytest.mark.root
def test_what_images_share_is_stored_once(images: Workplace) -> None:
    merged(images, "one.tar", "two.tar", "three.tar")
    with tarfile.open(images.path / "m.tar") as tar:
        stored = [member for member in tar.getmembers() if member.name.endswith("/layer.tar")]
    assert len([member for member in stored if member.isfile()]) == 3
    manifest = document(images.path / "m.tar", "manifest.json")
    assert isinstance(manifest, list)
    lowest = {entry["Layers"][0] for entry in manifest}
    assert len(lowest) == 1


@pytest.mark.root
def test_readers_of_the_first_format_find_the_configuration_of_each(images: Workplace) -> None:
    merged(images, "one.tar", "two.tar", "three.tar")
    archive = images.path / "m.tar"
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    tops = document(archive, "repositories")
    assert isinstance(tops, dict)
    assert set(tops) == {"one", "two", "host:5000/three", "three"}
    for name, env in {"one": ["N=1"], "two": ["N=2"]}.items():
        top = document(archive, f"{tops[name]['1']}/json")
        assert isinstance(top, dict)
        assert (top["id"], top["config"]["Env"]) == (tops[name]["1"], env)
        assert f"{top['parent']}/layer.tar" in names


@pytest.mark.root
def test_a_merge_of_a_merge_is_the_same(images: Workplace) -> None:
    packed = images.path / "three.tar.gz"
    packed.write_bytes(gzip.compress((images.path / "three.tar").read_bytes()))
    ids = merged(images, "one.tar", "two.tar", "three.tar.gz")
    assert merged(images, "m.tar", output="again.tar") == ids
    content = (images.path / "m.tar").read_bytes()
    assert (images.path / "again.tar").read_bytes() == content
    assert merged(images, "docker-archive:m.tar:two:1", output="2.tar") == [ids[1]]


@pytest.mark.root
def test_one_image_is_what_a_run_writes(images: Workplace) -> None:
    images.base("base.tar", busybox_layer())
    args = ("--from", "base.tar", "-t", "a:1", "--copy", "one.tar:/x", "-o", "a.tar")
    assert images.run(*args).returncode == 0
    merged(images, "a.tar")
    assert (images.path / "m.tar").read_bytes() == (images.path / "a.tar").read_bytes()
    assert_image_valid(images.path / "m.tar")


@pytest.mark.root
def test_the_same_image_with_two_names_is_one(images: Workplace) -> None:
    images.base("renamed.tar", LOWER, UPPER, names=["renamed:1"], config={"Env": ["N=1"]})
    assert len(merged(images, "one.tar", "renamed.tar")) == 1
    manifest = document(images.path / "m.tar", "manifest.json")
    assert isinstance(manifest, list)
    assert [entry["RepoTags"] for entry in manifest] == [["one:1", "renamed:1"]]


REFUSED = {
    "one name twice": (
        ["one.tar", "same.tar", "-o", "m.tar"],
        "merge: one:1: the name of two images: of one in one.tar, and of one in same.tar",
    ),
    "nothing": (["-o", "m.tar"], "IMAGE: not given"),
    "nowhere": (["one.tar"], "--output: not given"),
    "a layout": (["one.tar", "-o", "oci:m"], "--output: 'oci:m': not one file"),
    "a name": (
        ["one.tar", "-o", "docker-archive:m.tar:a:1"],
        "--output: 'docker-archive:m.tar:a:1': a:1 is a name",
    ),
    "no image": (["gone.tar", "-o", "m.tar"], "read image: gone.tar: No such file or directory"),
    "stdin twice": (["-", "-", "-o", "m.tar"], "standard input: '-': given for more than one"),
    "both to stdout": (["one.tar", "-o", "-", "--json"], "--json: not possible together with -o -"),
}


@pytest.mark.root
@pytest.mark.parametrize(("args", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_merged_is_told(args: list[str], why: str, images: Workplace) -> None:
    images.base("same.tar", OTHER, names=["one:1"])
    done = images.run("merge", *args)
    assert done.returncode == 125
    assert done.stderr.decode().startswith(f"rootrun: error: {why}")
    assert done.stdout == b""
    assert not (images.path / "m.tar").exists()


@pytest.mark.root
def test_a_damaged_layer_leaves_no_output(images: Workplace) -> None:
    content = (images.path / "one.tar").read_bytes()
    (images.path / "one.tar").write_bytes(content.replace(b"upper", b"UPPER"))
    done = images.run("merge", "one.tar", "two.tar", "-o", "m.tar")
    assert done.returncode == 125
    assert b"diff_id: want sha256:" in done.stderr
    assert not (images.path / "m.tar").exists()
