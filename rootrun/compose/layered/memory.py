"""Layers of a store that were made of the same before are not hashed, or compressed, again."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from rootrun import log
from rootrun.compose.compressed_layers import LayerMemory, keep_compressed
from rootrun.compose.layered.identity import Identity, identity_of
from rootrun.compose.layered.layer_plan import Store, StoreLayer
from rootrun.errors import LayerError, StoreError
from rootrun.image.blob import file_blob
from rootrun.image.blob_copy import link_or_copy
from rootrun.image.compression import Compression
from rootrun.image.compressor import compressor_version
from rootrun.image.layer_output import LayerOutput, WrittenLayer
from rootrun.image.written import layer_of
from rootrun.store.compressed_store import place_compressed
from rootrun.store.known_layers import KnownLayer, KnownLayers
from rootrun.store.layer_store import VERIFIED, open_cache

_WORTH_BYTES = 1 << 20  # less is hashed as fast as looked up


class Recollection:
    """What is known of one layer before it is packed: ``known`` is what it was, None for nothing.

    Without a cache, and of what is small, nothing is known, and nothing is kept.
    """

    def __init__(self, memory: "StoreMemory", layer: StoreLayer) -> None:
        self._memory = memory
        self._layer = layer
        self._identity: Identity | None = None
        self.known: KnownLayer | None = None
        if memory.directory is not None and layer.size_bytes >= _WORTH_BYTES:
            self._identity = identity_of(layer, memory.store)
            self.known = memory.layers.recall(memory.key_of(self._identity))

    def place_blob(self, path: Path) -> bool:
        """Make the file ``path`` of the compressed blob that is known; say whether there is one."""
        known, directory = self.known, self._memory.directory
        if known is None or directory is None or not known.compressed:
            return False

        def place(blob: Path) -> None:
            link_or_copy(file_blob(blob), path, is_kept=False)

        if not place_compressed(directory, known.compressed, digest=known.digest, place=place):
            return False
        with path.open("rb") as blob:
            is_whole = f"sha256:{hashlib.file_digest(blob, 'sha256').hexdigest()}" == known.digest
        if not is_whole:
            log.warning("the cache is damaged, the layer is compressed again: %s", known.diff_id)
            path.unlink()
        return is_whole

    @contextmanager
    def of_blocks(self, output: LayerOutput) -> Iterator[LayerMemory | None]:
        """Have ``output`` take the blocks that were compressed before; give what knows them."""
        directory = self._memory.directory
        if self._identity is None or directory is None or not self._memory.version:
            yield None
            return
        with closing(LayerMemory(directory, self._memory.version)) as blocks:
            output.remember_with(blocks)
            yield blocks

    def keep_blob(
        self, blocks: LayerMemory | None, written: WrittenLayer, path: Path, *, entry_count: int
    ) -> str:
        """Keep the compressed blob at ``path``; return the name of the entry that has it."""
        if blocks is None:
            return ""
        keep_compressed(
            blocks, layer_of(written, file_blob(path), position=1), entry_count=entry_count
        )
        return blocks.entry_name

    def settle(self, written: WrittenLayer, *, entry_count: int, compressed: str = "") -> None:
        """Remember what the layer is, which was packed and does not change any more.

        Raises LayerError if it changed since it was looked up and was believed to be known.
        """
        if self._identity is None:
            return
        is_same = identity_of(self._layer, self._memory.store).key == self._identity.key
        if self.known is not None and not is_same:
            raise LayerError(f"pack layer: {self._layer.paths[0]}: changed while it was read")
        made = KnownLayer(
            written.diff_id, written.digest, written.size_bytes, entry_count, compressed
        )
        if is_same and self._identity.is_settled and made != self.known:
            self._memory.layers.remember(self._memory.key_of(self._identity), made)


class StoreMemory:
    """What the cache ``directory`` (None: there is none) knows of layers of ``store``."""

    def __init__(self, directory: Path | None, store: Store, compression: Compression) -> None:
        self.directory = directory
        self.store = store
        self.version = compressor_version(compression)
        self.layers = KnownLayers((directory or Path()) / VERIFIED)

    def key_of(self, identity: Identity) -> str:
        """Return the key of a layer of this identity, compressed as it is here."""
        return hashlib.sha256(f"{self.version}\n{identity.key}".encode()).hexdigest()

    def recall(self, layer: StoreLayer) -> Recollection:
        """Return what is known of ``layer``."""
        return Recollection(self, layer)


@contextmanager
def opened_memory(
    directory: Path | None, store: Store, compression: Compression
) -> Iterator[StoreMemory]:
    """Open the cache ``directory`` for the layers of ``store``; one that cannot be used is told."""
    with ExitStack() as cleanup:
        found = None if directory is None else directory.absolute()
        if found is not None:
            try:
                cleanup.enter_context(open_cache(found))
            except StoreError as error:
                log.warning("passing over the cache: %s", error)
                found = None
        yield StoreMemory(found, store, compression)
