"""Reading OCI layouts, directories and archives (image-spec 1.1, image-layout.md)."""

from collections.abc import Iterator

from rootrun.errors import DigestMismatchError, ImageError
from rootrun.image.archive import ambiguous, listed, unknown_ref
from rootrun.image.blob import Blob
from rootrun.image.config import parse_config
from rootrun.image.digest import Digest, digest_of, hex_of
from rootrun.image.document import get_text, parse_object
from rootrun.image.files import Files, require_file
from rootrun.image.image import Image, pair_layers
from rootrun.image.manifest import (
    FULL_NAME,
    INDEX_TYPES,
    MANIFEST_TYPES,
    MAX_CONFIG_BYTES,
    MAX_MANIFEST_BYTES,
    REF_NAME,
    Descriptor,
    parse_index,
    parse_manifest,
)
from rootrun.image.platform import Platform, machine_platform, parse_platform
from rootrun.image.reference import same_image_name

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
_MAX_DEPTH = 4
_ATTESTATION = "vnd.docker.reference.type"  # BuildKit: a manifest that is about another


def read_layout(files: Files, *, ref: str | None, architecture: str | None) -> Image:
    """Return the image ``ref`` of a layout; None means the only one.

    An index is resolved for ``architecture`` (None: this machine's). Manifest
    and configuration are verified, layers when they are read.
    """
    _check_version(files)
    platform = parse_platform(architecture) if architecture else machine_platform()
    entry = _Resolver(files, platform, is_asked=architecture is not None).resolve(ref)
    manifest = parse_manifest(_document(files, entry), where=f"{files.path}: manifest")
    config_bytes = _verified(files, manifest.config, what="config", limit_bytes=MAX_CONFIG_BYTES)
    config = parse_config(config_bytes, where=f"{files.path}: config")
    blobs = [
        _layer_blob(files, layer, position=index + 1, count=len(manifest.layers))
        for index, layer in enumerate(manifest.layers)
    ]
    return Image(
        layers=pair_layers(blobs, config, descriptors=manifest.layers),
        config=config,
        config_bytes=config_bytes,
        config_digest=manifest.config.digest,
        names=_names(entry),
    )


def blob_name(digest: Digest) -> str:
    """Return where a layout has the blob ``digest``."""
    return f"blobs/sha256/{hex_of(digest)}"


class _Resolver:
    """Finds the one manifest that is meant, through nested indexes."""

    def __init__(self, files: Files, platform: Platform, *, is_asked: bool) -> None:
        self._files = files
        self._platform = platform
        self._is_asked = is_asked
        self._read: set[Digest] = set()
        self._left_bytes = MAX_MANIFEST_BYTES  # of all nested indexes: many are not worse than one

    def resolve(self, ref: str | None) -> Descriptor:
        """Return the entry of the manifest, with the names that ``index.json`` gives it."""
        path = str(self._files.path)
        where = f"{path}: {INDEX_FILE}"
        content = require_file(self._files, INDEX_FILE).read(
            limit_bytes=MAX_MANIFEST_BYTES, where=where
        )
        entries = _images(parse_index(content, where=where))
        if ref is not None:
            named = [entry for entry in entries if _is_called(entry, ref)]
            if not named:
                raise unknown_ref(path, ref, [name for entry in entries for name in _names(entry)])
            entries = named
        if not entries:
            raise ImageError(f"read image: {where}: lists no image")
        if len({entry.digest for entry in entries}) > 1 and not self._are_platforms(entries):
            raise ambiguous(path, [", ".join(_names(e)) or e.digest for e in entries])
        return self._pick(entries)

    def _are_platforms(self, entries: list[Descriptor]) -> bool:
        """Say whether the entries are one image for several platforms."""
        platforms = {entry.platform for entry in entries}
        names = {_names(entry) for entry in entries}
        return None not in platforms and len(platforms) == len(entries) and len(names) == 1

    def _pick(self, entries: list[Descriptor]) -> Descriptor:
        candidates = [
            (manifest, named) for entry in entries for manifest, named in self._manifests(entry, 0)
        ]
        matching = [pair for pair in candidates if self._matches(pair[0].platform)]
        if not matching and len(candidates) == 1 and not self._is_asked:
            matching = candidates  # of a foreign platform: to be refused when it is run
        if not matching:
            known = listed([str(found.platform) for found, _ in candidates]) or "none"
            raise ImageError(
                f"read image: {self._files.path}: no image for {self._platform}",
                hint=f"it has images for: {known}",
            )
        manifest, named = matching[0]
        return manifest._replace(annotations=named.annotations)

    def _matches(self, platform: Platform | None) -> bool:
        if platform is None:
            return True
        same = (platform.os, platform.architecture) == ("linux", self._platform.architecture)
        variants = {platform.variant, self._platform.variant}
        return same and (len(variants) == 1 or "" in variants)

    def _manifests(self, entry: Descriptor, depth: int) -> Iterator[tuple[Descriptor, Descriptor]]:
        """Give the manifests at and below ``entry``, and the entry that they are called by."""
        if entry.media_type not in INDEX_TYPES:
            yield entry, entry
            return
        if entry.digest in self._read:
            return  # what it has was given already, and comes first there
        if depth == _MAX_DEPTH or entry.size_bytes > self._left_bytes:
            raise ImageError(f"read image: {self._files.path}: indexes nested too deeply")
        self._read.add(entry.digest)
        self._left_bytes -= entry.size_bytes
        where = f"{self._files.path}: index {entry.digest}"
        for child in _images(parse_index(_document(self._files, entry), where=where)):
            yield from ((found, entry) for found, _ in self._manifests(child, depth + 1))


def _images(entries: tuple[Descriptor, ...]) -> list[Descriptor]:
    """Return the entries that may be images; a type that is not known is no error."""
    known = {*MANIFEST_TYPES, *INDEX_TYPES, ""}
    return [
        entry
        for entry in entries
        if entry.media_type in known and _ATTESTATION not in entry.annotations
    ]


def _check_version(files: Files) -> None:
    where = f"{files.path}: {LAYOUT_FILE}"
    content = require_file(files, LAYOUT_FILE).read(limit_bytes=MAX_MANIFEST_BYTES, where=where)
    version = get_text(parse_object(content, where=where), "imageLayoutVersion", where=where)
    if not version.startswith("1."):
        raise ImageError(f"read image: {where}: unknown version {version!r:.40}")


def _document(files: Files, entry: Descriptor) -> bytes:
    return _verified(files, entry, what="manifest", limit_bytes=MAX_MANIFEST_BYTES)


def _verified(files: Files, entry: Descriptor, *, what: str, limit_bytes: int) -> bytes:
    where = f"{files.path}: {what}"
    blob = require_file(files, blob_name(entry.digest))
    if blob.size_bytes != entry.size_bytes:
        raise DigestMismatchError(
            f"read image: {where}: size: want {entry.size_bytes}, got {blob.size_bytes}"
        )
    content = blob.read(limit_bytes=limit_bytes, where=where)
    found = digest_of(content)
    if found != entry.digest:
        raise DigestMismatchError(f"read image: {where}: digest: want {entry.digest}, got {found}")
    return content


def _layer_blob(files: Files, layer: Descriptor, *, position: int, count: int) -> Blob:
    found = files.find(blob_name(layer.digest))
    where = f"layer {position} of {count}"
    if "encrypted" in layer.media_type:
        raise ImageError(f"read image: {where}: encrypted")
    if found is None:
        raise ImageError(f"read image: {where}: {layer.digest}: missing")
    return found


def _names(entry: Descriptor) -> tuple[str, ...]:
    found = (entry.annotations.get(key) for key in (FULL_NAME, REF_NAME))
    return next(((name,) for name in found if isinstance(name, str) and name), ())


def _is_called(entry: Descriptor, ref: str) -> bool:
    names = (entry.annotations.get(key) for key in (REF_NAME, FULL_NAME))
    return any(name == ref or same_image_name(name, ref) for name in names if isinstance(name, str))
