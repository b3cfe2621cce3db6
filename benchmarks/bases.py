"""Base images to measure with: a busybox, and incompressible files of a given size."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

_FILE_BYTES = 1 << 20
_MIB = 1 << 20


def base_layer(megabytes: int) -> bytes:
    """Return a layer of about ``megabytes`` MiB that can run ``/bin/true``."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise SystemExit("bench: busybox is not installed: make peers installs it")
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        _add_file(tar, "bin/busybox", Path(busybox).read_bytes())
        for applet in ("sh", "true"):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for number in range(megabytes - 1):
            _add_file(tar, f"data/{number % 64}/{number}", os.urandom(_FILE_BYTES))
    return target.getvalue()


def write_docker_archive(path: Path, layer: bytes) -> Path:
    """Write an image of one layer as docker save does."""
    config = _config(layer)
    name = _hex(config)
    manifest = [{"Config": f"{name}.json", "RepoTags": ["bench:1"], "Layers": ["1/layer.tar"]}]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        _add_file(tar, f"{name}.json", config)
        _add_file(tar, "1/layer.tar", layer)
        _add_file(tar, "manifest.json", json.dumps(manifest).encode())
    return path


def write_oci_layout(directory: Path, layer: bytes) -> Path:
    """Write an image of one plain layer as an OCI layout directory (image-layout.md)."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    config = _config(layer)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [_descriptor(layer, "application/vnd.oci.image.layer.v1.tar")],
        }
    ).encode()
    for blob in (config, layer, manifest):
        (blobs / _hex(blob)).write_bytes(blob)
    index = {
        "schemaVersion": 2,
        "manifests": [_descriptor(manifest, "application/vnd.oci.image.manifest.v1+json")],
    }
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return directory


def _config(layer: bytes) -> bytes:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "amd64")
    diff_id = f"sha256:{_hex(layer)}"
    return json.dumps(
        {
            "architecture": machine,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created_by": "bench"}],
        }
    ).encode()


def _descriptor(blob: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{_hex(blob)}", "size": len(blob)}


def _add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size, header.mode = len(content), 0o755
    tar.addfile(header, io.BytesIO(content))


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
