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
from rootrun.image.manifest import MAX_CONFIG_BYTES, MAX_DOCKER_MANIFEST_BYTES, MAX_LAYERS
from rootrun.image.reference import same_image_name
from rootrun.image.stream import content_digests

REPOSITORIES = "repositories"
_INHERITED = ("created", "author", "architecture", "os", "variant", "config")


def read_v1_archive(files: Files, *, ref: str | None) -> Image:
    """Return the image ``NAME:TAG`` of an archive without ``manifest.json``."""
    tops = _tops(files)
    name = _pick(tops, ref, path=str(files.path))
    v1_ids, document = _chain(files, tops[name])
    blobs = [require_file(files, f"{v1_id}/layer.tar") for v1_id in v1_ids]
    raw: JsonObject = {key: document[key] for key in _INHERITED if key in document}
    raw["rootfs"] = {"type": "layers", "diff_ids": _diff_ids(blobs)}
    config = config_of(raw, where=f"{files.path}: {tops[name]!r:.100}: json")
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


def _chain(files: Files, top: str) -> tuple[list[str], JsonObject]:
    """Return the ids of the layers from the bottom to ``top``, and the document of ``top``."""
    if not top:
        raise ImageError(f"read image: {files.path}: {REPOSITORIES}: a name without a layer")
    documents: dict[str, JsonObject] = {}
    left_bytes = MAX_CONFIG_BYTES  # of all documents, so that many are not worse than one
    current = top
    while current:
        if current in documents or len(documents) == MAX_LAYERS:
            raise ImageError(f"read image: {files.path}: {top!r:.100}: more parents than can be")
        where = f"{files.path}: {current!r:.100}: json"
        blob = require_file(files, f"{current}/json")
        document = parse_object(blob.read(limit_bytes=left_bytes, where=where), where=where)
        left_bytes -= blob.size_bytes
        documents[current] = document
        current = get_text(document, "parent", where=where)
    return [*documents][::-1], documents[top]


def _diff_ids(blobs: list[Blob]) -> list[Digest]:
    known: dict[Blob, Digest] = {}
    for blob in blobs:
        if blob not in known:  # links can make one member all layers
            compression = sniff(blob.head(MAGIC_BYTES), where=str(blob.path))
            known[blob] = content_digests(blob, compression)[1]
    return [known[blob] for blob in blobs]
