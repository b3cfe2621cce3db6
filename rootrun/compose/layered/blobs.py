"""The layers of a store as blobs, each packed, compressed and hashed once, by several processes."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from rootrun.compose.layered.crew import done_by_crew
from rootrun.compose.layered.layer_plan import Store, StoreLayer, changes_of
from rootrun.compose.layered.memory import Recollection, StoreMemory
from rootrun.errors import LayerError, told_as
from rootrun.image.blob import file_blob
from rootrun.image.blob_copy import CREATE
from rootrun.image.block_pool import usable_processors
from rootrun.image.compression import Compression
from rootrun.image.digest import Digest
from rootrun.image.layer_output import LayerOutput, WrittenLayer, open_layer_output
from rootrun.image.output_file import write_at
from rootrun.image.sink import Sink
from rootrun.image.written import layer_of
from rootrun.layer.pack import pack_layer
from rootrun.namedtuple import NamedTuple


class MadeLayer(NamedTuple):
    """A layer that was written, and how many entries it has."""

    written: WrittenLayer
    entry_count: int

    def to_line(self) -> str:
        """Return it as ``from_line`` takes it."""
        written = self.written
        return (
            f"{written.diff_id} {written.digest} {written.size_bytes}"
            f" {written.compression.value} {self.entry_count}"
        )

    @classmethod
    def from_line(cls, line: str) -> "MadeLayer":
        """Return what ``to_line`` told."""
        diff_id, digest, size_bytes, compression, count = line.split()
        compressed = Compression(compression)
        written = WrittenLayer(Digest(diff_id), Digest(digest), int(size_bytes), compressed)
        return cls(written, int(count))


def write_store_layers(
    layers: Sequence[StoreLayer], memory: StoreMemory, sink: Sink, *, maker: "FileMaker"
) -> Iterator[MadeLayer]:
    """Make each of ``layers`` the next one of ``sink``, bottom first, and yield it then.

    Where the sink has places for them they are packed there, else ``maker`` makes files, which are
    removed as soon as they are copied. Raises LayerError.
    """
    places = sink.place_layers([layer.size_bytes for layer in layers])

    def make(number: int) -> str:
        layer = layers[number]
        with told_as(LayerError, "pack the layer", memory.store.directory):
            if places is None:
                return maker.make(layer, memory, number=number).to_line()
            with places.open(number) as output:
                return _packed(layer, memory, output).to_line()

    if places is not None and places.is_in_order:
        lines: Iterable[str] = map(make, range(len(layers)))
    else:
        lines = done_by_crew(len(layers), make, name="pack the layers")
    for number, line in enumerate(lines):
        made = MadeLayer.from_line(line)
        if places is not None:
            places.take(number, made.written)
        else:
            path = maker.path_of(number)
            sink.add_layer(layer_of(made.written, file_blob(path), position=number + 1))
            path.unlink()
        yield made


class FileMaker:
    """Packs layers into files in the new ``directory``, by one process for each processor.

    ``total_bytes`` is the size of all their tars.
    """

    def __init__(self, directory: Path, compression: Compression, *, total_bytes: int) -> None:
        self._directory = directory
        self._compression = compression
        self._total_bytes = total_bytes
        directory.mkdir()

    def path_of(self, number: int) -> Path:
        """Return the file of the layer ``number``."""
        return self._directory / str(number)

    def make(self, layer: StoreLayer, memory: StoreMemory, *, number: int) -> MadeLayer:
        """Make the file of ``layer``."""
        path, recollection = self.path_of(number), memory.recall(layer)
        if (known := recollection.known) and recollection.place_blob(path):
            written = WrittenLayer(
                Digest(known.diff_id), Digest(known.digest), known.size_bytes, self._compression
            )
            return MadeLayer(written, known.entry_count)
        descriptor = os.open(path, CREATE, 0o666)
        try:
            return self._compressed(layer, memory.store, recollection, path, descriptor)
        finally:
            os.close(descriptor)

    def _compressed(
        self,
        layer: StoreLayer,
        store: Store,
        recollection: Recollection,
        path: Path,
        descriptor: int,
    ) -> MadeLayer:
        with (
            open_layer_output(
                partial(write_at, descriptor),
                0,
                self._compression,
                thread_count=self._thread_count(layer),
            ) as output,
            recollection.of_blocks(output) as blocks,
        ):
            if recollection.known is not None and self._compression is Compression.NONE:
                output.believe(Digest(recollection.known.diff_id))
            count = pack_store_layer(layer, store, output.write)
            written = output.finish()
            kept = recollection.keep_blob(blocks, written, path, entry_count=count)
        recollection.settle(written, entry_count=count, compressed=kept)
        return MadeLayer(written, count)

    def _thread_count(self, layer: StoreLayer) -> int | None:
        """Return how many threads compress ``layer``: all, if it is more than its process's share.

        The other processes will be done before it. Else there is a process for each processor.
        """
        is_large = layer.size_bytes * usable_processors() > self._total_bytes
        return None if is_large else 0


def _packed(layer: StoreLayer, memory: StoreMemory, output: LayerOutput) -> MadeLayer:
    """Pack ``layer``, uncompressed, into ``output``; hash it unless it is known."""
    recollection = memory.recall(layer)
    if recollection.known is not None:
        output.believe(Digest(recollection.known.diff_id))
    count = pack_store_layer(layer, memory.store, output.write)
    written = output.finish()
    recollection.settle(written, entry_count=count)
    return MadeLayer(written, count)


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

    changes = (change for _, change in changes_of(layer, store))
    packed = pack_layer(changes, count, advance=pass_over)
    if size_bytes != layer.size_bytes:
        raise LayerError(f"pack layer: {layer.paths[0]}: changed while it was read")
    return packed.entry_count


def pass_over(_: int) -> None:
    """Tell nobody how many bytes were packed: the children have no way to."""
