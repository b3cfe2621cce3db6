"""The documents of an OCI layout that describe a new image (image-spec 1.1)."""

from collections.abc import Iterable

from rootrun.image.compression import Compression
from rootrun.image.digest import Digest, digest_of
from rootrun.image.document import JsonObject, to_bytes
from rootrun.image.image import Layer
from rootrun.image.manifest import (
    CONFIG_TYPE,
    FULL_NAME,
    MANIFEST_TYPE,
    REF_NAME,
    Descriptor,
    Manifest,
    manifest_bytes,
)
from rootrun.namedtuple import NamedTuple

LAYOUT_BYTES = b'{"imageLayoutVersion":"1.0.0"}'
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_SUFFIXES = {
    Compression.NONE: "",
    Compression.GZIP: "+gzip",
    Compression.ZSTD: "+zstd",
    Compression.BZIP2: "+bzip2",  # of no specification, like the next: passed on as it came
    Compression.XZ: "+xz",
}


class OciDocuments(NamedTuple):
    """The manifest of an image, and the entry of ``index.json`` that leads to it."""

    config_digest: Digest
    manifest: bytes
    entry: Descriptor


def layer_descriptor(layer: Layer) -> Descriptor:
    """Return the descriptor of a layer whose digest is known.

    The type is that of the content; docker's types and those of layers that
    were not to be distributed become OCI's, so that one manifest has one kind.
    """
    assert layer.digest is not None
    media_type = _LAYER_TYPE + _SUFFIXES[layer.compression]
    return Descriptor(media_type, layer.digest, layer.blob.size_bytes)


def describe_image(
    config_bytes: bytes,
    layers: Iterable[Layer],
    *,
    names: tuple[str, ...],
    ref: str | None,
) -> OciDocuments:
    """Return the documents of the image that has ``layers``.

    ``ref`` is what the layout calls it; None means the tag of its first name.
    """
    config = Descriptor(CONFIG_TYPE, digest_of(config_bytes), len(config_bytes))
    manifest = manifest_bytes(Manifest(config, tuple(map(layer_descriptor, layers))))
    annotations: JsonObject = {}
    if names:
        annotations[FULL_NAME] = names[0]
    if called := ref or (names[0].rpartition(":")[2] if names else None):
        annotations[REF_NAME] = called
    entry = Descriptor(MANIFEST_TYPE, digest_of(manifest), len(manifest), annotations=annotations)
    return OciDocuments(config.digest, manifest, entry)


def index_bytes(entries: Iterable[JsonObject]) -> bytes:
    """Return ``index.json`` with ``entries``."""
    return to_bytes({"schemaVersion": 2, "manifests": list(entries)})
