"""Images that go to and come from skopeo, podman, buildah and umoci."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from rootrun.image.compression import Compression
from rootrun.image.image import Image
from rootrun.image.reference import parse_image_reference
from rootrun.image.source import open_image, open_layer
from tests.image.writing import CREATED, NAMES, write_image
from tests.support.image_check import assert_image_valid, layer_names
from tests.support.images import JsonObject, digest, docker_archive, oci_layout
from tests.support.require import require, require_program
from tests.support.tarball import directory, file, tarball

pytestmark = pytest.mark.peers

LAYERS = [
    tarball(directory("etc"), file("etc/a", b"lower"), file("etc/b", b"gone")),
    tarball(file("etc/.wh.b"), file("etc/c", b"upper")),
]
WRITTEN = {
    "docker-archive": "docker-archive:{}/out.tar",
    "oci-archive": "oci-archive:{}/out.tar:v1",
    "oci": "oci:{}/out:v1",
}


def _run(*argv: str | Path) -> str:
    finished = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def _skopeo(*argv: str) -> str:
    require_program("skopeo")
    return _run("skopeo", "--insecure-policy", *argv)


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[list[str]]:
    require_program("podman")
    require(os.geteuid() == 0, "podman with a storage of its own needs root here")
    with tempfile.TemporaryDirectory(prefix="rr") as runroot:  # podman takes 50 characters
        place = ["--root", f"{tmp_path}/storage", "--runroot", runroot]
        yield ["podman", "--storage-driver", "vfs", *place]


def _write(kind: str, place: Path, compression: Compression = Compression.NONE) -> str:
    """Write an image of ``kind``; return its reference as skopeo takes it."""
    base = docker_archive(place / "base.tar", LAYERS, config={"Env": ["A=1"]})
    output = WRITTEN[kind].format(place)
    write_image(base, output, compression=compression)
    return output


def _contents(image: Image) -> list[str]:
    digests = []
    for layer in image.layers:
        with open_layer(layer) as stream:
            stream.verify()
        digests.append(layer.diff_id)
    return [str(found) for found in digests]


def _read(reference: str, scratch: Path) -> list[str]:
    parsed = parse_image_reference(reference)
    with open_image(parsed, ref=None, architecture=None, scratch=lambda: scratch) as image:
        return _contents(image)


@pytest.mark.parametrize("kind", WRITTEN)
def test_skopeo_inspects_what_is_written(kind: str, tmp_path: Path) -> None:
    """AC1, AC19."""
    inspected = cast("JsonObject", json.loads(_skopeo("inspect", _write(kind, tmp_path))))
    assert inspected["Created"] == CREATED
    assert inspected["Env"] == ["A=1"]
    assert len(cast("list[str]", inspected["Layers"])) == 3


@pytest.mark.parametrize(
    "compression", [Compression.NONE, Compression.GZIP, Compression.ZSTD], ids=lambda c: c.value
)
@pytest.mark.parametrize("kind", WRITTEN)
def test_skopeo_copies_what_is_written_there_and_back(
    kind: str, compression: Compression, tmp_path: Path
) -> None:
    """AC3, R40: the configuration, and so the image id, is the same on the way back."""
    written = _write(kind, tmp_path, compression)
    _skopeo("copy", written, f"oci:{tmp_path}/copy:x")
    # skopeo does not know what a docker image with zstd would be.
    back = "oci-archive" if compression is Compression.ZSTD else "docker-archive"
    _skopeo("copy", f"oci:{tmp_path}/copy:x", f"{back}:{tmp_path}/back.tar:a/b:c")
    diff_ids = [*map(digest, LAYERS)]
    assert _read(f"oci:{tmp_path}/copy:x", tmp_path)[:2] == diff_ids
    assert _read(f"{back}:{tmp_path}/back.tar", tmp_path)[:2] == diff_ids


def test_skopeo_reads_names_with_a_registry(tmp_path: Path) -> None:
    """AC24."""
    written = _write("docker-archive", tmp_path)
    _skopeo("copy", f"{written}:{NAMES[0]}", f"oci:{tmp_path}/copy:x")


def test_layer_listed_twice_is_copied_by_skopeo(tmp_path: Path) -> None:
    """AC15."""
    base = docker_archive(tmp_path / "base.tar", [LAYERS[0], LAYERS[1], LAYERS[0]])
    write_image(base, tmp_path / "out.tar", layers=[LAYERS[1]])
    _skopeo("copy", f"docker-archive:{tmp_path}/out.tar", f"oci:{tmp_path}/copy:x")
    assert len(_read(f"oci:{tmp_path}/copy:x", tmp_path)) == 4


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_what_skopeo_writes_is_read(kind: str, tmp_path: Path) -> None:
    """AC6."""
    layout = oci_layout(tmp_path / "layout", LAYERS, compression="gzip")
    _skopeo("copy", f"oci:{layout}:latest", f"{kind}:{tmp_path}/a.tar:docker.io/a/b:c")
    assert _read(os.fspath(tmp_path / "a.tar"), tmp_path) == [*map(digest, LAYERS)]


def test_podman_loads_what_is_written(podman: list[str], tmp_path: Path) -> None:
    _write("docker-archive", tmp_path)
    assert NAMES[0] in _run(*podman, "load", "-i", tmp_path / "out.tar")
    inspected = json.loads(_run(*podman, "image", "inspect", NAMES[0]))[0]
    image = assert_image_valid(tmp_path / "out.tar")
    assert f"sha256:{inspected['Id']}" == image.config_digest


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_what_podman_saves_is_read(podman: list[str], kind: str, tmp_path: Path) -> None:
    _write("docker-archive", tmp_path)
    _run(*podman, "load", "-i", tmp_path / "out.tar")
    saved = tmp_path / "saved.tar"
    _run(*podman, "save", "--format", kind, "-o", saved, NAMES[0])
    # podman takes layers apart and puts them together again: only their number is the same.
    assert len(_read(os.fspath(saved), tmp_path)) == 3


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "oci"])
def test_what_buildah_writes_is_read(podman: list[str], kind: str, tmp_path: Path) -> None:
    require_program("buildah")
    buildah = ["buildah", *podman[1:]]
    container = _run(*buildah, "from", "scratch").strip()
    (tmp_path / "hello").write_text("hello")
    _run(*buildah, "copy", container, tmp_path / "hello", "/hello")
    target = f"{kind}:{tmp_path}/built:made:by-buildah"
    _run(*buildah, "commit", "--disable-compression=false", container, target)
    reference = parse_image_reference(f"{kind}:{tmp_path}/built")
    with open_image(reference, ref=None, architecture=None, scratch=lambda: tmp_path) as image:
        assert len(_contents(image)) == 1


def test_umoci_unpacks_what_is_written(tmp_path: Path) -> None:
    require_program("umoci")
    _write("oci", tmp_path)
    options = [] if os.geteuid() == 0 else ["--rootless"]
    _run("umoci", "unpack", *options, "--image", f"{tmp_path}/out:v1", tmp_path / "bundle")
    rootfs = tmp_path / "bundle/rootfs"
    assert sorted(os.listdir(rootfs / "etc")) == ["a", "c"]
    assert (rootfs / "new").read_bytes() == b"made by the script"


def test_image_that_umoci_made_is_a_base(tmp_path: Path) -> None:
    require_program("umoci")
    layout = tmp_path / "layout"
    (tmp_path / "layer.tar").write_bytes(LAYERS[0])
    _run("umoci", "init", "--layout", layout)
    _run("umoci", "new", "--image", f"{layout}:x")
    _run("umoci", "raw", "add-layer", "--image", f"{layout}:x", tmp_path / "layer.tar")
    write_image(f"oci:{layout}:x", tmp_path / "out.tar")
    image = assert_image_valid(tmp_path / "out.tar")
    assert image.layers[0] == LAYERS[0]
    assert layer_names(image.layers[1]) == ["new"]
