"""OCI layouts: refs, platforms, nested indexes, and every digest held."""

import json
from pathlib import Path

import pytest

from rootrun.errors import DigestMismatchError, ImageError
from rootrun.image.image import Image
from rootrun.image.source import open_layer
from tests.image.layouts import MANIFEST, put_blob, put_image, put_index, write_layout
from tests.image.writing import opened
from tests.support.images import (
    JsonObject,
    descriptor,
    digest,
    dumped,
    oci_archive,
    oci_layout,
)
from tests.support.tarball import file, tarball

LAYERS = [tarball(file("a", b"1")), tarball(file("b", b"2"))]


def _verify(image: Image) -> None:
    for layer in image.layers:
        with open_layer(layer) as stream:
            stream.verify()


@pytest.mark.parametrize("nested", [0, 1, 3])
def test_index_is_resolved_by_platform(tmp_path: Path, nested: int) -> None:
    """AC22: what is asked for, else what this machine is."""
    path = tmp_path / "layout"
    entries = [put_image(path, architecture) for architecture in ("arm64", "amd64", "s390x")]
    for _ in range(nested):
        entries = [put_index(path, entries)]
    write_layout(path, entries)
    assert opened(path, architecture="s390x").config.architecture == "s390x"
    assert opened(path, architecture="arm64").config.architecture == "arm64"


def test_platform_that_an_index_lacks_is_told_with_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "layout"
    write_layout(path, [put_index(path, [put_image(path, "arm64"), put_image(path, "s390x")])])
    with pytest.raises(ImageError, match="no image for linux/riscv64") as raised:
        opened(path, architecture="riscv64")
    assert raised.value.hint == "it has images for: linux/arm64, linux/s390x"


def test_attestations_are_no_images(tmp_path: Path) -> None:
    path = tmp_path / "layout"
    attestation = put_image(path, "unknown") | {
        "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
    }
    write_layout(path, [put_index(path, [put_image(path, "amd64"), attestation])])
    assert opened(path, architecture="amd64").config.architecture == "amd64"


def test_one_image_of_several_is_picked_by_its_ref(tmp_path: Path) -> None:
    path = tmp_path / "layout"
    entries = []
    for architecture in ("arm64", "amd64"):
        annotations: JsonObject = {
            "org.opencontainers.image.ref.name": architecture,
            "io.containerd.image.name": f"docker.io/library/{architecture}:v1",
        }
        entry = put_image(path, architecture)
        del entry["platform"]
        entries.append(entry | {"annotations": annotations})
    write_layout(path, entries)
    assert opened(path, ref="amd64").config.architecture == "amd64"
    assert opened(f"oci:{path}:arm64:v1").config.architecture == "arm64"
    with pytest.raises(ImageError, match="2 images: "):
        opened(path)
    with pytest.raises(ImageError, match="no image 'other'"):
        opened(path, ref="other")


def test_every_blob_is_held_against_its_digest(tmp_path: Path) -> None:
    """Each blob damaged at equal length, and with one byte more."""
    for archive in (b"", b"x"):
        path = oci_layout(tmp_path / f"layout{len(archive)}", LAYERS, compression="gzip")
        for blob in sorted((path / "blobs/sha256").iterdir()):
            good = blob.read_bytes()
            blob.write_bytes((bytes([good[0] ^ 1]) + good[1:] if not archive else good) + archive)
            with pytest.raises(ImageError, match=r"read image: "):
                _verify(opened(path))
            blob.write_bytes(good)
        _verify(opened(path))


def test_damage_names_the_layer_and_both_digests(tmp_path: Path) -> None:
    path = oci_archive(tmp_path / "a.tar", LAYERS)
    path.write_bytes(path.read_bytes().replace(LAYERS[1], LAYERS[1].replace(b"2", b"3")))
    want, got = digest(LAYERS[1]), digest(LAYERS[1].replace(b"2", b"3"))
    with pytest.raises(DigestMismatchError) as raised:
        _verify(opened(path))
    assert str(raised.value) == f"read image: layer 2 of 2: diff_id: want {want}, got {got}"


def test_bytes_behind_the_end_of_a_tar_count(tmp_path: Path) -> None:
    path = oci_layout(tmp_path / "layout", [LAYERS[0] + b"trailing"])
    image = opened(path)
    with open_layer(image.layers[0]) as stream:
        assert stream.read(512)
        stream.verify()
    assert image.layers[0].diff_id == digest(LAYERS[0] + b"trailing")


def test_blob_that_is_missing_names_the_layer(tmp_path: Path) -> None:
    path = oci_layout(tmp_path / "layout", LAYERS)
    (path / "blobs" / digest(LAYERS[0]).replace(":", "/")).unlink()
    with pytest.raises(ImageError, match=r"layer 1 of 2: sha256:[0-9a-f]*: missing"):
        opened(path)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("oci-layout", b"{}", "unknown version"),
        ("oci-layout", b"[]", "want an object, got an array"),
        ("index.json", b"{}", "schemaVersion: want 2"),
        ("index.json", b'{"schemaVersion":2}', "lists no image"),
        ("index.json", b'{"schemaVersion":2,"manifests":[{}]}', "not a sha256 digest: None"),
        (
            "index.json",
            b'{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x","size":1}]}',
            "not a sha256 digest",
        ),
        (
            "index.json",
            b'{"schemaVersion":2,"manifests":[],"layers":[]}',
            "an index that is also a manifest",
        ),
        ("index.json", b'{"schemaVersion":2,"mediaType":"x"}', "unexpected type 'x'"),
    ],
)
def test_bad_layout_is_told_in_one_line(
    tmp_path: Path, name: str, content: bytes, why: str
) -> None:
    path = oci_layout(tmp_path / "layout", LAYERS)
    (path / name).write_bytes(content)
    with pytest.raises(ImageError, match=why) as raised:
        opened(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"manifests": []}, "a manifest that is also an index"),
        ({"config": None}, "config: want an object, got nothing"),
        ({"schemaVersion": 1}, "schemaVersion"),
        ({"layers": [{"digest": "sha256:" + "0" * 64, "size": -1}]}, "size: want a size"),
    ],
)
def test_bad_manifest_is_refused(tmp_path: Path, changes: JsonObject, why: str) -> None:
    path = oci_layout(tmp_path / "layout", LAYERS)
    (entry,) = json.loads((path / "index.json").read_bytes())["manifests"]
    blob = path / "blobs" / entry["digest"].replace(":", "/")
    changed = dumped(json.loads(blob.read_bytes()) | changes)
    put_blob(path, changed)
    write_layout(path, [descriptor(changed, MANIFEST)])
    with pytest.raises(ImageError, match=why):
        opened(path)


def test_artifact_that_is_no_image_is_refused(tmp_path: Path) -> None:
    path = write_layout(tmp_path / "layout", [])
    config = descriptor(b"{}", "application/vnd.cncf.helm.config.v1+json")
    manifest = dumped({"schemaVersion": 2, "config": config, "layers": []})
    put_blob(path, manifest)
    write_layout(path, [descriptor(manifest, MANIFEST)])
    with pytest.raises(ImageError, match="not a container image: config of type"):
        opened(path)
