"""Images for tests, in every dialect that is read, built by the standard library alone.

``docker_archive(path, [tarball(...), ...])`` writes a docker-archive as old docker save does;
``style`` picks another writer. Each builder returns the path that it wrote.
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from tests.support.image_check import assert_image_valid

__all__ = [
    "Style",
    "assert_image_valid",
    "docker_archive",
    "oci_layout",
    "oci_archive",
    "image_content",
    "docker_members",
    "oci_members",
    "outer_tar",
    "compressed",
    "descriptor",
    "digest",
    "dumped",
    "v1_ids",
]

Style = Literal["old", "25", "skopeo", "podman", "dockertools", "v1-only"]
JsonObject = dict[str, object]

_OCI = "application/vnd.oci.image"
_SUFFIX = {"none": "", "gzip": "+gzip", "zstd": "+zstd", "bzip2": "+bzip2", "xz": "+xz"}


class Content(NamedTuple):
    """The parts of an image, before a dialect arranges them."""

    layers: list[bytes]  # as stored
    diff_ids: list[str]
    config: bytes
    runtime: JsonObject


def docker_archive(
    path: Path,
    layers: Sequence[bytes],
    *,
    style: Style = "old",
    names: Sequence[str] = ("base:latest",),
    config: Mapping[str, object] | None = None,
    image: Mapping[str, object] | None = None,
    compression: str = "none",
) -> Path:
    """Write a docker-archive of uncompressed ``layers``, bottom first.

    ``config`` is the ``config`` object, ``image`` is laid over the rest of the
    configuration. ``compression`` is that of the layers as stored.
    """
    content = image_content(layers, config=config, image=image, compression=compression)
    members = docker_members(content, style=style, names=names)
    if style == "dockertools":
        path.write_bytes(gzip.compress(outer_tar(dict(sorted(members.items())), root=True), 1))
    else:
        path.write_bytes(outer_tar(members))
    return path


def oci_layout(
    directory: Path,
    layers: Sequence[bytes],
    *,
    ref: str | None = "latest",
    config: Mapping[str, object] | None = None,
    image: Mapping[str, object] | None = None,
    compression: str = "none",
) -> Path:
    """Write an OCI layout directory; see ``docker_archive`` for the arguments."""
    content = image_content(layers, config=config, image=image, compression=compression)
    for name, file_content in oci_members(content, ref=ref, compression=compression).items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file_content)
    return directory


def oci_archive(
    path: Path,
    layers: Sequence[bytes],
    *,
    ref: str | None = "latest",
    config: Mapping[str, object] | None = None,
    image: Mapping[str, object] | None = None,
    compression: str = "none",
) -> Path:
    """Write an OCI archive; see ``docker_archive`` for the arguments."""
    content = image_content(layers, config=config, image=image, compression=compression)
    members: dict[str, bytes | str] = dict(oci_members(content, ref=ref, compression=compression))
    path.write_bytes(outer_tar(members))
    return path


def image_content(
    layers: Sequence[bytes],
    *,
    config: Mapping[str, object] | None = None,
    image: Mapping[str, object] | None = None,
    compression: str = "none",
) -> Content:
    """Return the configuration and the stored layers of an image."""
    diff_ids = [digest(layer) for layer in layers]
    runtime = dict(config or {})
    document: JsonObject = {
        "created": "2024-05-01T10:00:00Z",
        "architecture": "amd64",
        "os": "linux",
        "config": runtime,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": "2024-05-01T10:00:00Z", "created_by": "test"} for _ in layers],
        **(image or {}),
    }
    stored = [compressed(layer, compression) for layer in layers]
    return Content(stored, diff_ids, dumped(document), runtime)


def docker_members(
    content: Content, *, style: Style = "old", names: Sequence[str] = ("base:latest",)
) -> dict[str, bytes | str]:
    """Return the members of a docker-archive by name; a str is a symlink's target."""
    if style in ("skopeo", "podman"):
        members = _skopeo_members(content)
    elif style == "25":
        members = {f"blobs/sha256/{_hex(layer)}": layer for layer in content.layers}
    else:
        members = {}
        for v1_id, layer in zip(v1_ids(content), content.layers, strict=True):
            members[f"{v1_id}/layer.tar"] = layer
    layer_paths = [
        {
            "skopeo": f"{diff_id[7:]}.tar",
            "podman": f"{diff_id[7:]}.tar",
            "25": f"blobs/sha256/{_hex(layer)}",
        }.get(style, f"{v1_id}/layer.tar")
        for v1_id, diff_id, layer in zip(
            v1_ids(content), content.diff_ids, content.layers, strict=True
        )
    ]
    config_name = _hex(content.config)
    config_path = f"blobs/sha256/{config_name}" if style == "25" else f"{config_name}.json"
    if style == "25":
        members |= oci_members(content, ref=None)
    else:
        members |= _v1_members(content, names)
    if style != "v1-only":
        entry = {"Config": config_path, "RepoTags": list(names), "Layers": layer_paths}
        members[config_path] = content.config
        members["manifest.json"] = dumped([entry])
    return members


def oci_members(
    content: Content, *, ref: str | None = "latest", compression: str = "none"
) -> dict[str, bytes]:
    """Return the files of an OCI layout by name."""
    layer_type = f"{_OCI}.layer.v1.tar{_SUFFIX[compression]}"
    manifest = dumped(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": descriptor(content.config, f"{_OCI}.config.v1+json"),
            "layers": [descriptor(layer, layer_type) for layer in content.layers],
        }
    )
    entry = descriptor(manifest, f"{_OCI}.manifest.v1+json")
    if ref is not None:
        entry["annotations"] = {"org.opencontainers.image.ref.name": ref}
    blobs = [*content.layers, content.config, manifest]
    return {f"blobs/sha256/{_hex(blob)}": blob for blob in blobs} | {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": dumped({"schemaVersion": 2, "manifests": [entry]}),
    }


def v1_ids(content: Content) -> list[str]:
    """Return ids for the layers, each from those below it and its place."""
    seeds = (":".join(content.diff_ids[: n + 1]) for n in range(len(content.diff_ids)))
    return [hashlib.sha256(seed.encode()).hexdigest() for seed in seeds]


def outer_tar(members: Mapping[str, bytes | str], *, root: bool = False) -> bytes:
    """Return a tar of ``members`` in the order given; a str is the target of a symlink.

    ``root`` puts an entry ``./`` before them, as dockerTools has it.
    """
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as archive:
        if root:
            header = tarfile.TarInfo("./")
            header.type, header.mode = tarfile.DIRTYPE, 0o555
            archive.addfile(header)
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.mode = 0o444
            if isinstance(content, str):
                header.type, header.linkname = tarfile.SYMTYPE, content
                archive.addfile(header)
            else:
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return target.getvalue()


def compressed(content: bytes, compression: str) -> bytes:
    """Return ``content`` compressed with ``none``, ``gzip``, ``zstd``, ``bzip2`` or ``xz``."""
    if compression == "zstd":
        from backports import zstd

        return zstd.compress(content)
    if compression == "gzip":
        return gzip.compress(content, mtime=0)
    if compression == "bzip2":
        return bz2.compress(content)
    return lzma.compress(content) if compression == "xz" else content


def descriptor(blob: bytes, media_type: str) -> JsonObject:
    """Return the OCI descriptor of ``blob``."""
    return {"mediaType": media_type, "digest": digest(blob), "size": len(blob)}


def digest(content: bytes) -> str:
    """Return ``sha256:`` and the hexadecimal digest of ``content``."""
    return f"sha256:{_hex(content)}"


def dumped(document: object) -> bytes:
    """Return ``document`` as JSON."""
    return json.dumps(document, separators=(",", ":")).encode()


def _skopeo_members(content: Content) -> dict[str, bytes | str]:
    members: dict[str, bytes | str] = {}
    for diff_id, layer in zip(content.diff_ids, content.layers, strict=True):
        members[f"{diff_id[7:]}.tar"] = layer
    for v1_id, diff_id in zip(v1_ids(content), content.diff_ids, strict=True):
        members[f"{v1_id}/layer.tar"] = f"../{diff_id[7:]}.tar"
    return members


def _v1_members(content: Content, names: Sequence[str]) -> dict[str, bytes | str]:
    members: dict[str, bytes | str] = {}
    parent: str | None = None
    ids = v1_ids(content)
    for v1_id in ids:
        document: JsonObject = {"id": v1_id, "created": "1970-01-01T00:00:00Z"}
        if parent:
            document["parent"] = parent
        if v1_id == ids[-1]:
            document |= {"architecture": "amd64", "os": "linux", "config": content.runtime}
        members[f"{v1_id}/VERSION"] = b"1.0"
        members[f"{v1_id}/json"] = dumped(document)
        parent = v1_id
    if parent:
        tagged = [name.rpartition(":") for name in names]
        members["repositories"] = dumped({name: {tag: parent} for name, _, tag in tagged})
    return members


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
