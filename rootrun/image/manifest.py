"""Manifests and indexes, read and written (image-spec 1.1; moby image spec 1.2)."""

import binascii
from collections.abc import Mapping, Sequence

from rootrun.errors import DigestMismatchError, ImageError
from rootrun.image.digest import Digest, digest_of, parse_digest
from rootrun.image.document import (
    JsonObject,
    as_list,
    as_object,
    get_list,
    get_object,
    get_size,
    get_text,
    get_texts,
    parse_json,
    parse_object,
    refuse_twins,
    to_bytes,
)
from rootrun.image.platform import Platform
from rootrun.namedtuple import NamedTuple

MAX_DOCKER_MANIFEST_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 4 << 20
MAX_CONFIG_BYTES = 4 << 20
MAX_LAYERS = 1024
"""More than any image has: overlayfs takes 500, docker 127. Layers cost before they are read."""

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPES = (MANIFEST_TYPE, "application/vnd.docker.distribution.manifest.v2+json")
INDEX_TYPES = (INDEX_TYPE, "application/vnd.docker.distribution.manifest.list.v2+json")
CONFIG_TYPES = (CONFIG_TYPE, "application/vnd.docker.container.image.v1+json")

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"


class Descriptor(NamedTuple):
    """A reference to a blob (descriptor.md). ``platform`` is None where nothing is said."""

    media_type: str
    digest: Digest
    size_bytes: int
    platform: Platform | None = None
    annotations: Mapping[str, object] = {}

    def to_json(self) -> JsonObject:
        """Return the descriptor as it stands in a manifest."""
        document: JsonObject = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size_bytes,
        }
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document


class Manifest(NamedTuple):
    """An image: its configuration and its layers, bottom first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


class ArchiveEntry(NamedTuple):
    """One image of a docker-archive: names of members, bottom layer first."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]


def parse_index(content: bytes, *, where: str) -> tuple[Descriptor, ...]:
    """Return the entries of an index; there may be none (image-index.md)."""
    document = _versioned(content, where=where, types=INDEX_TYPES)
    if "layers" in document or "config" in document:
        # Two readers would see two images in it (CVE-2021-41190).
        raise ImageError(f"read image: {where}: an index that is also a manifest")
    entries = get_list(document, "manifests", where=where)
    return tuple(_descriptor(entry, where=f"{where}: manifests") for entry in entries)


def parse_manifest(content: bytes, *, where: str) -> Manifest:
    """Return the manifest of an image; an artifact of another kind is an ImageError."""
    document = _versioned(content, where=where, types=MANIFEST_TYPES)
    if "manifests" in document:
        raise ImageError(f"read image: {where}: a manifest that is also an index")
    config = _descriptor(document.get("config"), where=f"{where}: config")
    if config.media_type not in CONFIG_TYPES:
        raise ImageError(
            f"read image: {where}: not a container image: config of type {config.media_type!r:.100}"
        )
    layers = get_list(document, "layers", where=where)
    check_layer_count(layers, where=where)
    return Manifest(config, tuple(_descriptor(e, where=f"{where}: layers") for e in layers))


def parse_archive_manifest(content: bytes, *, where: str) -> tuple[ArchiveEntry, ...]:
    """Return the images that ``manifest.json`` lists."""
    entries = as_list(parse_json(content, where=where), where=where)
    return tuple(_archive_entry(as_object(e, where=where), where=where) for e in entries)


def check_layer_count(layers: Sequence[object], *, where: str) -> None:
    """Raise ImageError if there are more ``layers`` than ``MAX_LAYERS``."""
    if len(layers) > MAX_LAYERS:
        raise ImageError(f"read image: {where}: {len(layers)} layers, more than {MAX_LAYERS}")


def manifest_bytes(manifest: Manifest) -> bytes:
    """Return ``manifest`` as JSON."""
    return to_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": manifest.config.to_json(),
            "layers": [layer.to_json() for layer in manifest.layers],
        }
    )


def archive_manifest_bytes(entries: Sequence[ArchiveEntry]) -> bytes:
    """Return ``manifest.json`` with the images ``entries``."""
    return to_bytes(
        [
            {"Config": entry.config, "RepoTags": list(entry.names), "Layers": list(entry.layers)}
            for entry in entries
        ]
    )


def _archive_entry(document: JsonObject, *, where: str) -> ArchiveEntry:
    refuse_twins(document, where=where)
    config = get_text(document, "Config", where=where)
    if not config:
        raise ImageError(f"read image: {where}: no Config")
    names = get_texts(document, "RepoTags", where=where)
    layers = get_texts(document, "Layers", where=where)
    check_layer_count(layers, where=where)
    return ArchiveEntry(config, names, layers)


def _versioned(content: bytes, *, where: str, types: tuple[str, ...]) -> JsonObject:
    document = parse_object(content, where=where)
    refuse_twins(document, where=where)
    if document.get("schemaVersion") != 2:
        raise ImageError(f"read image: {where}: schemaVersion: want 2")
    media_type = get_text(document, "mediaType", where=where)
    if media_type and media_type not in types:
        raise ImageError(f"read image: {where}: unexpected type {media_type!r:.100}")
    return document


def _descriptor(value: object, *, where: str) -> Descriptor:
    document = as_object(value, where=where)
    refuse_twins(document, where=where)
    descriptor = Descriptor(
        media_type=get_text(document, "mediaType", where=where),
        digest=parse_digest(document.get("digest"), where=where),
        size_bytes=get_size(document, "size", where=where),
        platform=_platform(get_object(document, "platform", where=where), where=where),
        annotations=get_object(document, "annotations", where=where),
    )
    if "data" in document:
        _check_data(get_text(document, "data", where=where), descriptor, where=where)
    return descriptor


def _check_data(text: str, descriptor: Descriptor, *, where: str) -> None:
    """Hold the content embedded in a descriptor against it: others may read that, not the blob."""
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise ImageError(f"read image: {where}: data: not base64") from error
    if (len(content), digest_of(content)) != (descriptor.size_bytes, descriptor.digest):
        raise DigestMismatchError(f"read image: {where}: data: not what the digest says")


def _platform(document: JsonObject, *, where: str) -> Platform | None:
    if not document:
        return None
    return Platform(
        get_text(document, "architecture", where=where),
        get_text(document, "variant", where=where),
        get_text(document, "os", where=where),
    )
