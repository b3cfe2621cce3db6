"""What the sinks have in common: values, and which blobs they write."""

from rootrun.dataclass import replace
from rootrun.image.blob import Blob
from rootrun.image.compression import Compression
from rootrun.image.digest import Digest
from rootrun.image.image import Layer
from rootrun.image.layer_output import WrittenLayer
from rootrun.image.stream import content_digests
from rootrun.namedtuple import NamedTuple


class WrittenImage(NamedTuple):
    """The image that was written; a docker-archive has no manifest with a digest."""

    image_id: Digest
    manifest_digest: Digest | None


def without_repetitions(base: tuple[Layer, ...]) -> dict[str, Layer]:
    """Return the layers by key, each blob once, in the order of their first places.

    The key of a blob whose digest is known is that digest: a new layer may
    turn out to be one of them.
    """
    distinct: dict[str, Layer] = {}
    for layer in base:
        distinct.setdefault(layer.stored_key, layer)
    return distinct


def with_digest(layer: Layer) -> Layer:
    """Return ``layer`` with the digest of its blob, which OCI wants and a docker-archive lacks.

    Reads the blob if it is compressed; nothing else could tell.
    """
    if layer.digest is not None:
        return layer
    if layer.compression is Compression.NONE:
        return replace(layer, digest=layer.diff_id)
    return replace(layer, digest=content_digests(layer.blob, layer.compression)[0])


def layer_of(written: WrittenLayer, blob: Blob, *, position: int) -> Layer:
    """Return the layer that was written, and is the topmost so far; its content is at ``blob``."""
    return Layer(
        blob=blob,
        diff_id=written.diff_id,
        digest=written.digest,
        compression=written.compression,
        media_type="",
        position=position,
        count=position,
    )
