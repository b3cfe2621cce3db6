"""An image that was opened: its layers on disk, its configuration, its names."""

from rootrun.dataclass import dataclass
from rootrun.errors import DigestMismatchError, ImageError
from rootrun.image.blob import Blob
from rootrun.image.compression import MAGIC_BYTES, Compression, sniff
from rootrun.image.config import ImageConfig
from rootrun.image.digest import Digest
from rootrun.image.manifest import Descriptor
from rootrun.namedtuple import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer as it is stored; its content is not verified before ``open_layer`` reads it.

    ``diff_id`` is what the configuration promises, ``digest`` what the manifest
    does: None in a docker-archive, which promises nothing of the blob itself.
    """

    blob: Blob
    diff_id: Digest
    digest: Digest | None
    compression: Compression
    media_type: str  # as the manifest has it, empty in a docker-archive
    position: int  # from 1, the bottom
    count: int

    @property
    def where(self) -> str:
        """The layer in a message."""
        return f"layer {self.position} of {self.count}"

    @property
    def stored_key(self) -> str:
        """What two layers share only if their blobs are the same: the digest where it is known."""
        if self.digest is not None:
            return self.digest
        if self.compression is Compression.NONE:
            return self.diff_id
        return f"{self.blob.path}:{self.blob.offset}"


class Image(NamedTuple):
    """An image. ``config_digest`` is the image id; ``layers`` are bottom first."""

    layers: tuple[Layer, ...]
    config: ImageConfig
    config_bytes: bytes
    config_digest: Digest
    names: tuple[str, ...]


def pair_layers(
    blobs: list[Blob], config: ImageConfig, *, descriptors: tuple[Descriptor, ...] = ()
) -> tuple[Layer, ...]:
    """Return the layers whose ``blobs`` a manifest lists and whose diff_ids ``config`` lists.

    ``descriptors`` are those of the manifest, where it has any: sizes are held
    against them. Raises ImageError if there are more of the one than of the other.
    """
    count = len(blobs)
    if count != len(config.diff_ids):
        raise ImageError(
            f"read image: layers: {count} in the manifest, {len(config.diff_ids)} in the config"
        )
    return tuple(
        _layer(
            blob,
            diff_id=config.diff_ids[index],
            descriptor=descriptors[index] if descriptors else None,
            position=index + 1,
            count=count,
        )
        for index, blob in enumerate(blobs)
    )


def _layer(
    blob: Blob, *, diff_id: Digest, descriptor: Descriptor | None, position: int, count: int
) -> Layer:
    where = f"layer {position} of {count}"
    if descriptor and descriptor.size_bytes != blob.size_bytes:
        raise DigestMismatchError(
            f"read image: {where}: size: want {descriptor.size_bytes}, got {blob.size_bytes}"
        )
    return Layer(
        blob=blob,
        diff_id=diff_id,
        digest=descriptor.digest if descriptor else None,
        compression=sniff(blob.head(MAGIC_BYTES), where=where),
        media_type=descriptor.media_type if descriptor else "",
        position=position,
        count=count,
    )
