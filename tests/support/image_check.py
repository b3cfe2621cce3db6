"""An independent check of written images: tarfile, json and hashlib, nothing of rootrun.

``assert_image_valid(path)`` takes a docker-archive, an OCI archive or an OCI layout directory.
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import NamedTuple, cast

Json = dict[str, object]


class CheckedImage(NamedTuple):
    """What a valid image holds; layers are uncompressed, bottom first."""

    config: Json
    config_digest: str
    names: list[str]
    layers: list[bytes]
    diff_ids: list[str]


def assert_image_valid(path: Path) -> CheckedImage:
    """Check every digest, the history and the newest layer; return what the image holds."""
    files = _directory_files(path) if path.is_dir() else _tar_files(path)
    image = _check_docker(files) if "manifest.json" in files else _check_layout(files)
    assert image.config["rootfs"] == {"type": "layers", "diff_ids": image.diff_ids}
    history = cast("list[Json]", image.config["history"])
    assert sum(not entry.get("empty_layer") for entry in history) == len(image.diff_ids)
    assert [sha256(layer) for layer in image.layers] == image.diff_ids
    env = cast("list[str]", cast("Json", image.config.get("config") or {}).get("Env") or [])
    assert len({entry.partition("=")[0] for entry in env}) == len(env)
    if image.layers:
        _check_layer(image.layers[-1])
    return image


def sha256(content: bytes) -> str:
    """Return ``sha256:`` and the hexadecimal digest of ``content``."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def layer_names(layer: bytes) -> list[str]:
    """Return the names of the entries of ``layer`` in order, as they are written."""
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as archive:
        return [member.name for member in archive]


def _check_docker(files: dict[str, bytes]) -> CheckedImage:
    (entry,) = cast("list[Json]", json.loads(files["manifest.json"]))
    assert set(entry) == {"Config", "RepoTags", "Layers"}
    config_name = cast("str", entry["Config"])
    names = cast("list[str]", entry["RepoTags"])
    config_bytes = files[config_name]
    assert sha256(config_bytes) == f"sha256:{config_name.removesuffix('.json')}"
    layers = [_plain(files[name]) for name in cast("list[str]", entry["Layers"])]
    _check_v1_chain(files, names=names, layers=layers)
    return _image(config_bytes, names, layers)


def _check_v1_chain(files: dict[str, bytes], *, names: list[str], layers: list[bytes]) -> None:
    """Walk from ``repositories`` down, as a reader that knows only the first format does."""
    if not layers:
        assert "repositories" not in files
        return
    repositories = cast("dict[str, dict[str, str]]", json.loads(files["repositories"]))
    tops = {
        f"{name}:{tag}": top for name, tags in repositories.items() for tag, top in tags.items()
    }
    assert sorted(tops) == sorted(names)
    for top in tops.values():
        chain = []
        current: str | None = top
        while current:
            document = cast("dict[str, str]", json.loads(files[f"{current}/json"]))
            assert document["id"] == current
            assert files[f"{current}/VERSION"] == b"1.0"
            chain.append(_plain(files[f"{current}/layer.tar"]))
            current = document.get("parent")
        assert chain[::-1] == layers


def _check_layout(files: dict[str, bytes]) -> CheckedImage:
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, content in files.items():
        if name.startswith("blobs/"):
            assert sha256(content) == f"sha256:{name.removeprefix('blobs/sha256/')}", name
    index = cast("Json", json.loads(files["index.json"]))
    assert index["schemaVersion"] == 2
    entry = cast("list[Json]", index["manifests"])[-1]
    manifest = cast("Json", json.loads(_described(files, entry)))
    assert manifest["schemaVersion"] == 2
    config_bytes = _described(files, cast("Json", manifest["config"]))
    layers = [_plain(_described(files, item)) for item in cast("list[Json]", manifest["layers"])]
    annotations = cast("dict[str, str]", entry.get("annotations") or {})
    names = [annotations["io.containerd.image.name"]] if annotations else []
    return _image(config_bytes, names, layers)


def _described(files: dict[str, bytes], descriptor: Json) -> bytes:
    digest = cast("str", descriptor["digest"])
    content = files[f"blobs/{digest.replace(':', '/')}"]
    assert len(content) == descriptor["size"]
    assert sha256(content) == digest
    return content


def _image(config_bytes: bytes, names: list[str], layers: list[bytes]) -> CheckedImage:
    config = cast("Json", json.loads(config_bytes))
    rootfs = cast("Json", config["rootfs"])
    diff_ids = cast("list[str]", rootfs["diff_ids"])
    assert len(layers) == len(diff_ids)
    return CheckedImage(config, sha256(config_bytes), names, layers, diff_ids)


def _check_layer(layer: bytes) -> None:
    """Check order and names: depth first, whiteouts before the rest, each path once."""
    names = layer_names(layer)
    assert len(set(names)) == len(names)
    assert names == sorted(names, key=_sort_key)
    assert not any(name.startswith("/") or ".." in name.split("/") for name in names)


def _sort_key(name: str) -> list[tuple[bool, bytes]]:
    parts = [part for part in name.split("/") if part != "."]
    return [
        (not part.startswith(".wh."), part.encode("utf-8", "surrogateescape")) for part in parts
    ]


def _plain(blob: bytes) -> bytes:
    if blob.startswith(b"\x1f\x8b"):
        return gzip.decompress(blob)
    if blob.startswith(b"\x28\xb5\x2f\xfd"):
        from backports import zstd

        return zstd.decompress(blob)
    if blob.startswith(b"BZh"):
        return bz2.decompress(blob)
    if blob.startswith(b"\xfd7zXZ"):
        return lzma.decompress(blob)
    return blob


def _directory_files(path: Path) -> dict[str, bytes]:
    return {
        file.relative_to(path).as_posix(): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file()
    }


def _tar_files(path: Path) -> dict[str, bytes]:
    """Read the members; nothing may stand there twice, and symlinks stay among members."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            assert (member.uid, member.gid, member.mtime) == (0, 0, 1), member.name
            assert member.name not in files
            if member.issym():
                links[member.name] = member.linkname.removeprefix("../")
            elif not member.isdir():
                content = archive.extractfile(member)
                assert content is not None
                files[member.name] = content.read()
    return files | {name: files[target] for name, target in links.items()}
