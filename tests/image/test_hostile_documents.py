"""JSON that attacks the reader, in each document that an image has: one line, and soon."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.errors import DigestMismatchError, ImageError
from rootrun.image.document import parse_json
from rootrun.image.manifest import MAX_LAYERS
from tests.image.writing import opened
from tests.support.images import (
    JsonObject,
    descriptor,
    digest,
    docker_archive,
    docker_members,
    dumped,
    image_content,
    oci_members,
    outer_tar,
)
from tests.support.tarball import file, tarball

CONTENT = image_content([tarball(file("a", b"1"))])
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
Place = Callable[[Path, bytes], Path]


def _archive(path: Path, changes: dict[str, bytes | str], *, style: str = "old") -> Path:
    members = docker_members(CONTENT, style="v1-only" if style == "v1-only" else "old")
    path.write_bytes(outer_tar(members | changes))
    return path


def _as_manifest_json(path: Path, document: bytes) -> Path:
    return _archive(path / "a.tar", {"manifest.json": document})


def _as_docker_config(path: Path, document: bytes) -> Path:
    entries = json.loads(docker_members(CONTENT)["manifest.json"])
    return _archive(path / "a.tar", {entries[0]["Config"]: document})


def _as_repositories(path: Path, document: bytes) -> Path:
    return _archive(path / "a.tar", {"repositories": document}, style="v1-only")


def _as_json_of_a_layer(path: Path, document: bytes) -> Path:
    names = docker_members(CONTENT, style="v1-only")
    (name,) = [name for name in names if name.endswith("/json")]
    return _archive(path / "a.tar", {name: document}, style="v1-only")


def _layout(path: Path, changes: dict[str, bytes]) -> Path:
    for name, content in (oci_members(CONTENT) | changes).items():
        (path / "layout" / name).parent.mkdir(parents=True, exist_ok=True)
        (path / "layout" / name).write_bytes(content)
    return path / "layout"


def _blob(document: bytes) -> dict[str, bytes]:
    return {f"blobs/sha256/{digest(document)[7:]}": document}


def _as_index(path: Path, document: bytes) -> Path:
    return _layout(path, {"index.json": document})


def _as_manifest(path: Path, document: bytes) -> Path:
    index = dumped({"schemaVersion": 2, "manifests": [descriptor(document, MANIFEST)]})
    return _layout(path, {"index.json": index, **_blob(document)})


def _as_config(path: Path, document: bytes) -> Path:
    manifest = json.loads(_manifest_of(oci_members(CONTENT)))
    manifest["config"] |= {"digest": digest(document), "size": len(document)}
    return _as_manifest(_layout(path, _blob(document)).parent, dumped(manifest))


def _as_layout_file(path: Path, document: bytes) -> Path:
    return _layout(path, {"oci-layout": document})


def _manifest_of(members: dict[str, bytes]) -> bytes:
    (entry,) = json.loads(members["index.json"])["manifests"]
    return members[f"blobs/sha256/{entry['digest'][7:]}"]


PLACES: dict[str, Place] = {
    "manifest.json": _as_manifest_json,
    "config of docker": _as_docker_config,
    "repositories": _as_repositories,
    "json of a layer": _as_json_of_a_layer,
    "oci-layout": _as_layout_file,
    "index.json": _as_index,
    "manifest": _as_manifest,
    "config": _as_config,
}
LIMITS = {"manifest.json": 1 << 20, "repositories": 1 << 20}
places = pytest.mark.parametrize("place", PLACES)


def _refused(path: Path, why: str, *, kind: type[ImageError] = ImageError) -> None:
    """Open ``path``, which must be refused as every image has to be."""
    started = time.process_time()
    with pytest.raises(kind, match=why) as raised:
        opened(path)
    assert time.process_time() - started < 1
    message = str(raised.value) + (raised.value.hint or "")
    assert "\n" not in message
    assert len(message) < 5000


NO_DOCUMENTS = {
    "deep arrays": (b"[" * 500_000, "nested too deeply"),
    "deep objects": (b'{"a":' * 200_000, "nested too deeply"),
    "deep and whole": (b"[" * 500 + b"]" * 500, "nested too deeply"),
    "key twice": (b'{"a":1,"b":{"x":1,"x":1}}', "not JSON: a key twice"),
    "escaped key twice": (b'{"a":1,"\\u0061":1}', "not JSON: a key twice"),
    "huge integer": (b"[" + b"9" * 900_000 + b"]", "not JSON: a number that is none"),
    "huge float": (b"[1e999999999]", "not JSON: a number that is too large"),
    "nan": (b"[NaN]", "not JSON: a number that is none"),
    "infinity": (b'{"a":-Infinity}', "not JSON: a number that is none"),
    "lone surrogate": (b'{"a":"\\ud800"}', "not JSON: a lone surrogate"),
    "lone surrogate as a key": (b'{"\\udfff":1}', "not JSON: a lone surrogate"),
    "no UTF-8": (b'{"a":"\xed\xa0\x80"}', "not UTF-8 at byte 6"),
    "byte order mark": (b"\xef\xbb\xbf{}", "not JSON"),
    "UTF-16": ("{}".encode("utf-16"), "not UTF-8"),
    "two values": (b"{}{}", "not JSON: Extra data"),
    "zeros": (bytes(1000), "not JSON"),
    "nothing": (b"", "not JSON"),
    "number": (b"5", r"want an (object|array), got a number"),
    "text": (b'"x"', r"want an (object|array), got a string"),
}


@places
@pytest.mark.parametrize("case", NO_DOCUMENTS)
def test_json_that_attacks_its_reader_is_refused(place: str, case: str, tmp_path: Path) -> None:
    document, why = NO_DOCUMENTS[case]
    _refused(PLACES[place](tmp_path, document), why)


@places
def test_document_beyond_its_limit_is_not_read(place: str, tmp_path: Path) -> None:
    """CVE-2020-1702: 64 MiB, which would be good JSON."""
    limit = LIMITS.get(place, 4 << 20)
    document = b"[" + b" " * (64 << 20) + b"]"
    _refused(PLACES[place](tmp_path, document), f"{len(document)} bytes, more than {limit}")


@places
def test_document_just_below_its_limit_is_read(place: str, tmp_path: Path) -> None:
    limit = LIMITS.get(place, 4 << 20)
    _refused(PLACES[place](tmp_path, b"5".ljust(limit)), "got a number")


@pytest.mark.parametrize("unit", [b"{},", b"[],", b'{"a":1},', b'"ab",', b"1,"])
def test_json_full_of_small_things_is_parsed_soon(unit: bytes) -> None:
    document = b"[" + unit * ((4 << 20) // len(unit)) + b"0]"
    started = time.process_time()
    parse_json(document, where="x")
    assert time.process_time() - started < 2


def test_bytes_that_are_no_utf8_survive_as_python_writes_them() -> None:
    """rootrun writes labels so that the command line gave it as bytes."""
    assert parse_json(b'"\\udc80"', where="x") == "\udc80"


WRONG_CONFIGS: dict[str, tuple[JsonObject, str]] = {
    "author": ({"author": []}, "author: want a string, got an array"),
    "history": ({"history": {}}, "history: want an array, got an object"),
    "step": ({"history": [None]}, "history: want an object, got nothing"),
    "empty_layer": ({"history": [{"empty_layer": "no"}]}, "empty_layer: want a boolean"),
    "created_by": ({"history": [{"created_by": 1}]}, "created_by: want a string"),
    "label": ({"config": {"Labels": {"a": 1}}}, "Labels: a: want a string"),
    "signal": ({"config": {"StopSignal": 9}}, "StopSignal: want a string"),
    "command": ({"config": {"Cmd": ["a\0b"]}}, "Cmd: has a NUL"),
    "environment": ({"config": {"Env": ["A=\0"]}}, "Env: has a NUL"),
    "nameless": ({"config": {"Env": ["A=1", "=2"]}}, "Env: a value without a name"),
    "user": ({"config": {"User": "a\0"}}, "User: has a NUL"),
    "directory": ({"config": {"WorkingDir": "/\0"}}, "WorkingDir: has a NUL"),
    "system": ({"os": "x" * 100_000}, "os: want linux"),
    "type": ({"rootfs": {"type": "y" * 100_000}}, "rootfs: unknown type"),
    "digests": ({"rootfs": {"type": "layers", "diff_ids": [1]}}, "diff_ids: not a sha256 digest"),
    "layers": (
        {"rootfs": {"type": "layers", "diff_ids": ["x"] * (MAX_LAYERS + 1)}},
        f"{MAX_LAYERS + 1} layers, more than {MAX_LAYERS}",
    ),
}


@pytest.mark.parametrize("case", WRONG_CONFIGS)
def test_config_of_wrong_types_is_refused(case: str, tmp_path: Path) -> None:
    changes, why = WRONG_CONFIGS[case]
    path = docker_archive(tmp_path / "a.tar", [tarball(file("a"))], image=changes)
    _refused(path, f"config: .*{why}")


@pytest.mark.parametrize(
    ("place", "document"),
    [
        ("manifest.json", b'[{"Config":"a","config":"b"}]'),
        ("index.json", b'{"schemaVersion":2,"manifests":[],"Manifests":[{}]}'),
        ("index.json", b'{"schemaVersion":2,"manifests":[{"digest":"x","Digest":"y"}]}'),
        ("manifest", b'{"schemaVersion":2,"layers":[],"LAYERS":[]}'),
        ("config", b'{"os":"linux","O\xc5\xbf":"plan9","rootfs":{"type":"layers"}}'),
        ("config", b'{"config":{"Env":[],"env":["A=1"]},"rootfs":{"type":"layers"}}'),
        ("config of docker", b'{"rootfs":{"type":"layers","diff_ids":[],"diff_IDs":[]}}'),
    ],
)
def test_keys_that_are_one_to_go_are_refused(place: str, document: bytes, tmp_path: Path) -> None:
    _refused(PLACES[place](tmp_path, document), "keys that differ in case only")


def test_labels_may_differ_in_case_only(tmp_path: Path) -> None:
    labels = {"a": "1", "A": "2"}
    path = docker_archive(tmp_path / "a.tar", [tarball(file("a"))], config={"Labels": labels})
    assert opened(path).config.runtime["Labels"] == labels


@pytest.mark.parametrize("size", [-1, 1.0, True, "1", None, 1 << 63, 10**4000])
def test_size_that_none_can_be_is_refused(size: object, tmp_path: Path) -> None:
    entry = descriptor(b"{}", MANIFEST) | {"size": size}
    path = _as_index(tmp_path, dumped({"schemaVersion": 2, "manifests": [entry]}))
    _refused(path, "size: want a size")


def test_layers_without_number_are_refused_before_any_is_looked_at(tmp_path: Path) -> None:
    manifest = json.loads(_manifest_of(oci_members(CONTENT)))
    manifest["layers"] *= 20_000
    _refused(_as_manifest(tmp_path, dumped(manifest)), "20000 layers, more than 1024")
    entries = json.loads(docker_members(CONTENT)["manifest.json"])
    entries[0]["Layers"] = ["a"] * 200_000
    _refused(_as_manifest_json(tmp_path, dumped(entries)), "200000 layers, more than 1024")


@pytest.mark.parametrize(
    ("data", "why"),
    [("bm90IGl0", "data: not what the digest says"), ("%%", "data: not base64"), (1, "a string")],
)
def test_embedded_content_must_be_that_of_the_digest(
    data: object, why: str, tmp_path: Path
) -> None:
    """descriptor.md: another reader may take ``data`` for the blob."""
    manifest = _manifest_of(oci_members(CONTENT))
    entry = descriptor(manifest, MANIFEST) | {"data": data}
    path = _as_index(tmp_path, dumped({"schemaVersion": 2, "manifests": [entry]}))
    kind = DigestMismatchError if "digest" in why else ImageError
    _refused(path, why, kind=kind)


def test_embedded_content_that_is_right_is_no_error(tmp_path: Path) -> None:
    manifest = _manifest_of(oci_members(CONTENT))
    entry = descriptor(manifest, MANIFEST) | {"data": base64.b64encode(manifest).decode()}
    path = _as_index(tmp_path, dumped({"schemaVersion": 2, "manifests": [entry]}))
    assert len(opened(path).layers) == 1


def test_names_in_an_error_are_few_and_short(tmp_path: Path) -> None:
    names = [f"{'n' * 3000}{number}:v" for number in range(200)]
    entry = json.loads(docker_members(CONTENT)["manifest.json"])[0]
    manifest = dumped([entry | {"RepoTags": [name]} for name in names])
    path = _as_manifest_json(tmp_path, manifest)
    with pytest.raises(ImageError, match=r"200 images: n.* and 180 more") as raised:
        opened(path)
    assert len(str(raised.value)) < 5000
    with pytest.raises(ImageError, match="no image 'x'") as raised:
        opened(path, ref="x")
    assert len(raised.value.hint or "") < 5000
