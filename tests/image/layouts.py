"""OCI layouts made blob by blob: several images, indexes, and what is none of both."""

import json
from pathlib import Path

from tests.support.images import (
    JsonObject,
    descriptor,
    digest,
    dumped,
    image_content,
    oci_members,
)
from tests.support.tarball import file, tarball

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def put_blob(layout: Path, blob: bytes) -> None:
    """Put ``blob`` into ``layout``."""
    path = layout / "blobs" / digest(blob).replace(":", "/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)


def put_image(layout: Path, architecture: str) -> JsonObject:
    """Put an image into ``layout``; return its descriptor with the platform."""
    content = image_content([tarball(file(architecture))], image={"architecture": architecture})
    members = oci_members(content, ref=None)
    for name, blob in members.items():
        if name.startswith("blobs/"):
            put_blob(layout, blob)
    (entry,) = json.loads(members["index.json"])["manifests"]
    assert isinstance(entry, dict)
    return {**entry, "platform": {"architecture": architecture, "os": "linux"}}


def write_layout(path: Path, entries: list[JsonObject]) -> Path:
    """Write the two files beside the blobs; return ``path``."""
    path.mkdir(exist_ok=True)
    (path / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    (path / "index.json").write_bytes(dumped({"schemaVersion": 2, "manifests": entries}))
    return path


def put_index(layout: Path, entries: list[JsonObject]) -> JsonObject:
    """Put an index of ``entries`` into ``layout``; return its descriptor."""
    blob = dumped({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    put_blob(layout, blob)
    return descriptor(blob, INDEX)
