"""The layers of a store as blobs, each packed, compressed and hashed once, by several processes."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from rootrun.compose.layered.crew import done_by_crew
from rootrun.compose.layered.layer_plan import Store, StoreLayer
from rootrun.compose.layered.store_tree import store_changes
from rootrun.errors import LayerError, told_as
from rootrun.image.blob import file_blob
from rootrun.image.blob_copy import CREATE
from rootrun.image.compression import Compression
from rootrun.image.digest import Digest
from rootrun.image.image import Layer
from rootrun.image.layer_output import WrittenLayer, open_layer_output
from rootrun.image.output_file import write_at
from rootrun.image.written import layer_of
from rootrun.layer.pack import pack_layer
from rootrun.namedtuple import NamedTuple


class MadeBlob(NamedTuple):
    """A layer, and how many entries it has."""

    layer: Layer
    entry_count: int


def made_blobs(
    layers: Sequence[StoreLayer], store: Store, *, compression: Compression, directory: Path
) -> Iterator[MadeBlob]:
    """Yield each of ``layers`` as a file in the new ``directory``, bottom first, as they are made.

    The file is removed when the next one is asked for. Raises LayerError.
    """
    directory.mkdir()

    def make(number: int) -> str:
        with told_as(LayerError, "pack the layer", store.directory):
            descriptor = os.open(directory / str(number), CREATE, 0o666)
            try:
                with open_layer_output(partial(write_at, descriptor), 0, compression) as output:
                    count = pack_store_layer(layers[number], store, output.write)
                    written = output.finish()
            finally:
                os.close(descriptor)
        return f"{written.diff_id} {written.digest} {written.size_bytes} {count}"

    for number, line in enumerate(done_by_crew(len(layers), make, name="pack the layers")):
        diff_id, digest, size_bytes, count = line.split()
        written = WrittenLayer(Digest(diff_id), Digest(digest), int(size_bytes), compression)
        path = directory / str(number)
        yield MadeBlob(layer_of(written, file_blob(path), position=number + 1), int(count))
        path.unlink()


def pack_store_layer(
    layer: StoreLayer, store: Store, write: Callable[[bytes | memoryview], object]
) -> int:
    """Write the tar of ``layer`` through ``write``, and return how many entries it has.

    Raises LayerError if something in the store is not as it was when it was measured.
    """
    size_bytes = 0

    def count(content: bytes | memoryview) -> None:
        nonlocal size_bytes
        size_bytes += len(content)
        if size_bytes <= layer.size_bytes:
            write(content)

    changes = store_changes(layer.paths, store=store.directory, policy=store.policy)
    packed = pack_layer(changes, count, advance=_pass_over)
    if size_bytes != layer.size_bytes:
        raise LayerError(f"pack layer: {layer.paths[0]}: changed while it was read")
    return packed.entry_count


def _pass_over(_: int) -> None:
    """Tell nobody how many bytes were packed: the children have no way to."""
