"""OCI layouts that attack the reader: ambiguous, endless, incomplete, with what is no file."""

import json
import os
import stat
import time
from pathlib import Path

import pytest

from rootrun.errors import DigestMismatchError, ImageError
from rootrun.image.source import open_layer
from tests.image.layouts import INDEX, MANIFEST, put_blob, put_image, put_index, write_layout
from tests.image.writing import opened
from tests.support.images import JsonObject, descriptor, dumped, oci_layout
from tests.support.tarball import file, tarball

LAYERS = [tarball(file("a", b"1")), tarball(file("b", b"2"))]


def test_indexes_that_share_their_children_end(tmp_path: Path) -> None:
    path = tmp_path / "layout"
    entries = [put_image(path, "amd64")]
    for _ in range(6):
        entries = [put_index(path, entries)] * 50
    write_layout(path, entries)
    with pytest.raises(ImageError, match="nested too deeply"):
        opened(path)


def test_index_that_is_referred_to_again_and_again_is_read_once(tmp_path: Path) -> None:
    """10000 entries, 250 times: a list of all would take gigabytes."""
    path = tmp_path / "layout"
    entries = [put_index(path, [put_image(path, "amd64"), *[put_image(path, "arm64")] * 10_000])]
    for _ in range(2):
        entries = [put_index(path, entries * 250)]
    write_layout(path, entries)
    started = time.process_time()
    assert opened(path, architecture="amd64").config.architecture == "amd64"
    assert time.process_time() - started < 1


def test_indexes_that_are_large_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "layout"
    image = put_image(path, "amd64")
    large = [put_index(path, [image | {"annotations": {"a": f"{n}" * 900_000}}]) for n in range(6)]
    write_layout(path, [put_index(path, large)])
    with pytest.raises(ImageError, match="nested too deeply"):
        opened(path, architecture="amd64")


@pytest.mark.parametrize("nested", [False, True])
def test_entry_of_unknown_type_is_no_image_and_no_error(tmp_path: Path, nested: bool) -> None:
    """image-index.md: whatever it is, and wherever it stands."""
    path = tmp_path / "layout"
    odd = descriptor(b"odd", "application/vnd.example.of.the.future+json")
    entries = [odd, put_image(path, "amd64"), odd | {"platform": {"architecture": "amd64"}}]
    write_layout(path, [put_index(path, entries)] if nested else entries)
    assert opened(path, architecture="amd64").config.architecture == "amd64"


def test_first_matching_entry_of_an_index_is_used(tmp_path: Path) -> None:
    path = tmp_path / "layout"
    first = put_image(path, "amd64")
    second = oci_layout(tmp_path / "other", LAYERS)
    (entry,) = json.loads((second / "index.json").read_bytes())["manifests"]
    for blob in (second / "blobs/sha256").iterdir():
        put_blob(path, blob.read_bytes())
    same_platform = _without_annotations(entry) | {"platform": first["platform"]}
    write_layout(path, [put_index(path, [first, same_platform])])
    assert len(opened(path, architecture="amd64").layers) == 1
    write_layout(path, [put_index(path, [same_platform, first])])
    assert len(opened(path, architecture="amd64").layers) == 2


def _without_annotations(entry: JsonObject) -> JsonObject:
    """Return ``entry`` without its annotations."""
    return {key: value for key, value in entry.items() if key != "annotations"}


def test_document_of_another_type_than_its_descriptor_says_is_refused(tmp_path: Path) -> None:
    """CVE-2021-41190: a manifest to one reader, an index to another."""
    path = tmp_path / "layout"
    image = put_image(path, "amd64")
    as_index = image | {"mediaType": INDEX}
    as_manifest = put_index(path, [image]) | {"mediaType": MANIFEST}
    for entry in (as_index, as_manifest):
        write_layout(path, [entry])
        with pytest.raises(ImageError, match="unexpected type"):
            opened(path, architecture="amd64")


@pytest.mark.parametrize("name", ["blobs", "oci-layout", "index.json"])
def test_layout_without_one_of_its_parts_is_refused(tmp_path: Path, name: str) -> None:
    """image-layout.md, Content."""
    path = oci_layout(tmp_path / "layout", LAYERS)
    (path / name).rename(tmp_path / "gone")
    with pytest.raises(ImageError, match=r"missing|no oci-layout in it"):
        opened(path)


def test_unknown_files_beside_a_layout_are_fine(tmp_path: Path) -> None:
    path = oci_layout(tmp_path / "layout", LAYERS)
    (path / "manifest.json").write_bytes(b"junk")
    (path / "blobs/sha256/junk").write_bytes(b"junk")
    (path / "blobs/sha512").mkdir()
    assert len(opened(path).layers) == 2


@pytest.mark.parametrize(
    "text",
    [
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "0" * 64 + "\n",
        "SHA256:" + "0" * 64,
        "sha512:" + "0" * 128,
        "md5:" + "0" * 32,
        "sha256:../../../../etc/passwd",
        "0" * 64,
        "",
        5,
        None,
    ],
)
def test_digest_outside_the_grammar_is_refused(tmp_path: Path, text: object) -> None:
    """descriptor.md, Digests."""
    entry = descriptor(b"{}", MANIFEST) | {"digest": text}
    path = write_layout(tmp_path / "layout", [entry])
    with pytest.raises(ImageError, match="not a sha256 digest"):
        opened(path)


def test_size_is_held_before_anything_is_read(tmp_path: Path) -> None:
    """descriptor.md, Verification: a terabyte that claims to be small costs nothing."""
    path = oci_layout(tmp_path / "layout", [LAYERS[0]])
    for blob in (path / "blobs/sha256").iterdir():
        size_bytes = blob.stat().st_size
        os.truncate(blob, 1 << 40)
        started = time.process_time()
        with pytest.raises(DigestMismatchError, match=f"size: want {size_bytes}, got {1 << 40}"):
            opened(path)
        assert time.process_time() - started < 1
        os.truncate(blob, size_bytes)
    assert opened(path).layers


@pytest.mark.parametrize("suffix", ["", "+gzip", "+zstd"])
@pytest.mark.parametrize("prefix", ["layer", "layer.nondistributable"])
def test_every_media_type_of_layers_is_read(tmp_path: Path, prefix: str, suffix: str) -> None:
    """manifest.md, Image Manifest Property Descriptions."""
    path = oci_layout(tmp_path / "layout", [LAYERS[0]], compression=suffix[1:] or "none")
    media_type = f"application/vnd.oci.image.{prefix}.v1.tar{suffix}"
    write_layout(path, [_with_media_type(path, media_type)])
    (layer,) = opened(path).layers
    with open_layer(layer) as stream:
        stream.verify()
    assert layer.media_type == media_type


def _with_media_type(path: Path, media_type: str) -> JsonObject:
    (entry,) = json.loads((path / "index.json").read_bytes())["manifests"]
    manifest = json.loads((path / "blobs" / entry["digest"].replace(":", "/")).read_bytes())
    manifest["layers"][0]["mediaType"] = media_type
    put_blob(path, dumped(manifest))
    return descriptor(dumped(manifest), MANIFEST)


@pytest.mark.parametrize("kind", ["fifo", "socket", "directory", "device"])
@pytest.mark.parametrize("which", ["index.json", "oci-layout", "manifest", "config", "layer"])
def test_blob_that_is_no_file_does_not_hang(tmp_path: Path, which: str, kind: str) -> None:
    path = oci_layout(tmp_path / "layout", [LAYERS[0]])
    blobs = sorted((path / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    config, manifest, layer = blobs
    by_name = {"manifest": manifest, "config": config, "layer": layer}
    place = by_name.get(which, path / which)
    place.unlink()
    _make_odd(place, kind)
    with pytest.raises(ImageError, match=r"not a regular file|is a directory"):
        opened(path)


def _make_odd(place: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        os.mknod(place, stat.S_IFSOCK | 0o600)
