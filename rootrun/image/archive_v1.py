"""Reading the oldest docker-archives: ``repositories`` and layers that name their parents.

Nothing in the first format (moby image spec 1.0) says what a layer's digest is, so that
the layers are read once to tell it.
"""

from rootrun.errors import ImageError
from rootrun.image.archive import ambiguous, unknown_ref
from rootrun.image.blob import Blob
from rootrun.image.compression import MAGIC_BYTES, sniff
from rootrun.image.config import config_of
from rootrun.image.digest import Digest, digest_of
from rootrun.image.document import JsonObject, get_object, get_text, parse_object
from rootrun.image.files import Files, require_file
from rootrun.image.image import Image, pair_layers
from rootrun.image.manifest import MAX_CONFIG_BYTES, MAX_DOCKER_MANIFEST_BYTES
from rootrun.image.reference import same_image_name
from rootrun.image.stream import content_digests

REPOSITORIES = "repositories"
_MAX_LAYERS = 1024
_INHERITED = ("created", "author", "architecture", "os", "variant", "config")


def read_v1_archive(files: Files, *, ref: str | None) -> Image:
    """Return the image ``NAME:TAG`` of an archive without ``manifest.json``."""
    tops = _tops(files)
    name = _pick(tops, ref, path=str(files.path))
    chain = _chain(files, tops[name])
    blobs = [require_file(files, f"{v1_id}/layer.tar") for v1_id, _ in chain]
    raw: JsonObject = {key: chain[-1][1][key] for key in _INHERITED if key in chain[-1][1]}
    raw["rootfs"] = {"type": "layers", "diff_ids": [_diff_id(blob) for blob in blobs]}
    config = config_of(raw, where=f"{files.path}: {chain[-1][0]}/json")
    names = tuple(other for other, top in tops.items() if top == tops[name])
    content = config.to_bytes()
    return Image(pair_layers(blobs, config), config, content, digest_of(content), names)


def _tops(files: Files) -> dict[str, str]:
    """Return the ids of the topmost layers by name and tag."""
    where = f"{files.path}: {REPOSITORIES}"
    content = require_file(files, REPOSITORIES).read(
        limit_bytes=MAX_DOCKER_MANIFEST_BYTES, where=where
    )
    repositories = parse_object(content, where=where)
    return {
        f"{name}:{tag}": get_text(tags, tag, where=where)
        for name in repositories
        for tags in [get_object(repositories, name, where=where)]
        for tag in tags
    }


def _pick(tops: dict[str, str], ref: str | None, *, path: str) -> str:
    if ref is not None:
        for name in tops:
            if same_image_name(ref, name):
                return name
        raise unknown_ref(path, ref, list(tops))
    if not tops:
        raise ImageError(f"read image: {path}: {REPOSITORIES}: names no image")
    if len(set(tops.values())) > 1:
        raise ambiguous(path, list(tops))
    return next(iter(tops))


def _chain(files: Files, top: str) -> list[tuple[str, JsonObject]]:
    """Return the ids and documents of the layers from the bottom to ``top``."""
    chain: list[tuple[str, JsonObject]] = []
    current = top
    while current:
        if len(chain) == _MAX_LAYERS:
            raise ImageError(f"read image: {files.path}: {top!r:.100}: more parents than can be")
        where = f"{files.path}: {current!r:.100}: json"
        blob = require_file(files, f"{current}/json")
        document = parse_object(blob.read(limit_bytes=MAX_CONFIG_BYTES, where=where), where=where)
        chain.append((current, document))
        current = get_text(document, "parent", where=where)
    return chain[::-1]


def _diff_id(blob: Blob) -> Digest:
    compression = sniff(blob.head(MAGIC_BYTES), where=str(blob.path))
    return content_digests(blob, compression)[1]
