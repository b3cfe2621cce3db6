"""Reading docker-archives: of docker save, skopeo, podman and dockerTools.

The format is the "Combined Image JSON + Filesystem Changeset Format" of the moby image
spec 1.2. Order and count of the layers come from ``manifest.json`` alone.
"""

from rootrun.errors import ImageError
from rootrun.image.config import parse_config
from rootrun.image.digest import digest_of
from rootrun.image.files import Files, require_file
from rootrun.image.image import Image, pair_layers
from rootrun.image.manifest import (
    MAX_CONFIG_BYTES,
    MAX_DOCKER_MANIFEST_BYTES,
    ArchiveEntry,
    parse_archive_manifest,
)
from rootrun.image.reference import same_image_name

MANIFEST = "manifest.json"
_MAX_LISTED = 20


def read_archive(files: Files, *, ref: str | None) -> Image:
    """Return the image ``ref`` of a docker-archive; None means the only one.

    ``ref`` is ``NAME:TAG`` or, as skopeo has it, ``@N``, counted from 0.
    """
    return _read(files, _pick(_entries(files), ref, path=str(files.path)))


def read_archives(files: Files) -> tuple[Image, ...]:
    """Return all images of a docker-archive."""
    return tuple(_read(files, entry) for entry in _entries(files))


def _entries(files: Files) -> tuple[ArchiveEntry, ...]:
    where = f"{files.path}: {MANIFEST}"
    content = require_file(files, MANIFEST).read(limit_bytes=MAX_DOCKER_MANIFEST_BYTES, where=where)
    return parse_archive_manifest(content, where=where)


def _read(files: Files, entry: ArchiveEntry) -> Image:
    config_blob = require_file(files, entry.config)
    config_where = f"{files.path}: config"
    config_bytes = config_blob.read(limit_bytes=MAX_CONFIG_BYTES, where=config_where)
    config = parse_config(config_bytes, where=config_where)
    blobs = [require_file(files, name) for name in entry.layers]
    return Image(
        pair_layers(blobs, config), config, config_bytes, digest_of(config_bytes), entry.names
    )


def _pick(entries: tuple[ArchiveEntry, ...], ref: str | None, *, path: str) -> ArchiveEntry:
    if not entries:
        raise ImageError(f"read image: {path}: {MANIFEST}: lists no image")
    if ref is None:
        if len(entries) > 1:
            raise ambiguous(path, [_called(entries, index) for index in range(len(entries))])
        return entries[0]
    for index, entry in enumerate(entries):
        if ref == f"@{index}" or any(same_image_name(ref, name) for name in entry.names):
            return entry
    raise unknown_ref(path, ref, [_called(entries, index) for index in range(len(entries))])


def _called(entries: tuple[ArchiveEntry, ...], index: int) -> str:
    return ", ".join(entries[index].names) or f"@{index}"


def ambiguous(path: str, names: list[str]) -> ImageError:
    """Return the error for several images of which none was picked."""
    return ImageError(
        f"read image: {path}: {len(names)} images: {listed(names)}",
        hint=f"pick one with --from-ref, as in --from-ref {names[0].partition(', ')[0]:.200}",
    )


def unknown_ref(path: str, ref: str, names: list[str]) -> ImageError:
    """Return the error for a ``ref`` that no image has."""
    return ImageError(
        f"read image: {path}: no image {ref!r}", hint=f"it has {listed(names) or 'no names'}"
    )


def listed(names: list[str]) -> str:
    """Return ``names`` for a message; an archive can hold more than a screen does."""
    more = [f"and {len(names) - _MAX_LISTED} more"] if len(names) > _MAX_LISTED else []
    return ", ".join([f"{name:.200}" for name in names[:_MAX_LISTED]] + more)
