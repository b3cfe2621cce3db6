"""New layers are compressed with what earlier runs have left of the same content."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from rootrun import log
from rootrun.compose.base_image import Cache
from rootrun.errors import ImageError, StoreError
from rootrun.image.blob_copy import link_or_copy
from rootrun.image.compression import Compression
from rootrun.image.compressor import compressor_version
from rootrun.image.image import Layer
from rootrun.store.compressed_store import LayerMemory

__all__ = ["LayerMemory", "keep_compressed", "layer_memory"]


@contextmanager
def layer_memory(cache: Cache, compression: Compression) -> Iterator[LayerMemory | None]:
    """Give what ``cache`` knows of the next layer; None where nothing is kept."""
    if not cache.stays:
        yield None
        return
    with closing(LayerMemory(cache.directory, compressor_version(compression))) as memory:
        yield memory


def keep_compressed(memory: LayerMemory, layer: Layer, *, entry_count: int) -> None:
    """Keep ``layer``, which was compressed with ``memory``, for later runs; failing is told."""
    assert layer.digest is not None
    record = memory.record(
        diff_id=layer.diff_id,
        digest=layer.digest,
        size_bytes=layer.blob.size_bytes,
        entry_count=entry_count,
    )
    if record is None:
        return
    try:
        memory.keep(record, lambda path: link_or_copy(layer.blob, path))
    except (StoreError, ImageError) as error:
        log.warning("compressed layer: not kept: %s", error)
