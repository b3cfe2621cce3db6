"""The outer tar of an image archive: base blobs, the new layers, then small members.

The offsets of the base's blobs follow from their sizes, so that a forked child can copy them
while the parent writes behind them: both write at offsets, to the same descriptor.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from rootrun.dataclass import replace
from rootrun.image.archive_member import (
    directory_member,
    file_member,
    member_header,
    padded,
    symlink_member,
)
from rootrun.image.blob import Blob
from rootrun.image.blob_copy import LARGE_BYTES, begin_writing_back, copy_blob, verify_copy
from rootrun.image.compression import Compression
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput, WrittenLayer, open_layer_output
from rootrun.image.output_file import OutputFile, require_space, writing
from rootrun.image.written import layer_of, without_repetitions
from rootrun.layer.entry import Entry
from rootrun.layer.header import BLOCK_BYTES


class ArchiveBody:
    """The content of the archive in ``output``, on top of ``base``.

    ``directories`` are its first members, each one's parent before it. ``layers`` are those of
    the image so far; blobs that several of them share are in the archive once.
    """

    def __init__(
        self,
        output: OutputFile,
        base: tuple[Layer, ...],
        *,
        compression: Compression,
        directories: tuple[str, ...] = (),
    ) -> None:
        self.layers = list(base)
        self._output = output
        self._base = without_repetitions(base)
        self._compression = compression
        self._blobs: dict[str, Blob] = {}  # in the archive, by the layers' stored keys
        self._end = 0
        for name in directories:
            self._write_header(directory_member(name), self._end)
            self._end += BLOCK_BYTES
        for key, layer in self._base.items():
            self._reserve(key, layer.blob.size_bytes)
        require_space(output.directory, self._end, target=output.target)

    def write_base(self, is_verified: Callable[[Layer], bool]) -> None:
        """Copy the base's blobs; verify those of which nobody knows that they are right.

        What is large is on the disk then: a child waits for that beside the script, and ``finish``
        has only the rest to wait for.
        """
        for key, layer in self._base.items():
            self._copy(layer, self._blobs[key].offset)
            if not is_verified(layer):
                verify_copy(layer, self._output.path, offset=self._blobs[key].offset)
        if sum(layer.blob.size_bytes for layer in self._base.values()) >= LARGE_BYTES:
            with writing(self._output.target):
                self._output.sync()

    @contextmanager
    def new_layer(self) -> Iterator[LayerOutput]:
        """Open the next layer for writing, behind all others."""
        start = self._end + BLOCK_BYTES
        with open_layer_output(self._output.write_at, start, self._compression) as layer:
            yield layer
            written = layer.finish()
        if written.digest in self._blobs:
            with writing(self._output.target):  # nothing of it may show between what follows
                os.ftruncate(self._output.descriptor, self._end)
        else:
            self._reserve(written.digest, written.size_bytes)
        blob = self._readable_blob(written.digest)
        self.layers.append(layer_of(written, blob, position=len(self.layers) + 1))

    def add_layer(self, layer: Layer) -> None:
        """Copy the blob of ``layer`` behind all others, and have it be the next layer."""
        key = layer.stored_key
        if key not in self._blobs:
            self._copy(layer, self._end + BLOCK_BYTES)
            self._reserve(key, layer.blob.size_bytes)
        self.layers.append(replace(layer, blob=self._readable_blob(key)))

    def place_layers(self, sizes_bytes: Sequence[int]) -> "FilePlaces":
        """Reserve the next places for layers that are not compressed, of these sizes."""
        offsets = []
        for size_bytes in sizes_bytes:
            offsets.append(self._end + BLOCK_BYTES)
            self._end += BLOCK_BYTES + padded(size_bytes)
        require_space(self._output.directory, self._end, target=self._output.target)
        return FilePlaces(self, offsets)

    @contextmanager
    def reserved_layer(self, offset: int) -> Iterator[LayerOutput]:
        """Open the layer whose place at ``offset`` was reserved. May run in a forked child."""
        with open_layer_output(self._output.write_at, offset, Compression.NONE) as layer:
            yield layer
        if self._output.is_kept:
            begin_writing_back(self._output.descriptor, offset, layer.written.size_bytes)

    def take_reserved(self, written: WrittenLayer, offset: int) -> None:
        """Have the layer that was written at ``offset`` be the next one."""
        position = len(self.layers) + 1
        key: str = written.digest
        if key in self._blobs:
            key = f"{position}-again"  # what is in the base as well; nobody reads it here
        self._blobs[key] = Blob(self._output.path, offset, written.size_bytes, whole_file=False)
        blob = self._readable_blob(written.digest)
        self.layers.append(layer_of(written, blob, position=position))

    def name_layers(self, names: Mapping[str, str]) -> Mapping[str, str]:
        """Write the headers of all blobs; ``names`` are the members', by stored key, and returned.

        What is there again under another key has that as its name.
        """
        named = {key: names.get(key, key) for key in self._blobs}
        for key, blob in self._blobs.items():
            self._write_header(file_member(named[key], blob.size_bytes), blob.offset - BLOCK_BYTES)
        return named

    def add(self, name: str, content: bytes) -> None:
        """Append a member; there must be no layer to come."""
        self._write_header(file_member(name, len(content)), self._end)
        self._output.write_at(content, self._end + BLOCK_BYTES)
        self._end += BLOCK_BYTES + padded(len(content))

    def add_symlink(self, name: str, target: str) -> None:
        """Append a member that is a symlink."""
        self._write_header(symlink_member(name, target), self._end)
        self._end += BLOCK_BYTES

    def finish(self) -> None:
        """Write the two zero blocks and bring all to the disk."""
        with writing(self._output.target):
            os.ftruncate(self._output.descriptor, self._end + 2 * BLOCK_BYTES)
            self._output.sync()

    def _reserve(self, key: str, size_bytes: int) -> None:
        """Give the blob ``key`` its place behind all others."""
        offset = self._end + BLOCK_BYTES
        self._blobs[key] = Blob(self._output.path, offset, size_bytes, whole_file=False)
        self._end = offset + padded(size_bytes)

    def _readable_blob(self, key: str) -> Blob:
        """Return where the blob ``key`` can be read by now: the base's may not be copied yet."""
        return self._base[key].blob if key in self._base else self._blobs[key]

    def _copy(self, layer: Layer, offset: int) -> None:
        with writing(self._output.target):
            copy_blob(
                layer.blob, into=self._output.descriptor, at=offset, is_kept=self._output.is_kept
            )

    def _write_header(self, entry: Entry, offset: int) -> None:
        self._output.write_at(member_header(entry), offset)


class FilePlaces:
    """The places of layers in a file; see LayerPlaces."""

    is_in_order = False

    def __init__(self, body: ArchiveBody, offsets: Sequence[int]) -> None:
        self._body = body
        self._offsets = offsets

    def open(self, number: int) -> AbstractContextManager[LayerOutput]:
        """Open the layer ``number``; see LayerPlaces."""
        return self._body.reserved_layer(self._offsets[number])

    def take(self, number: int, written: WrittenLayer) -> None:
        """Take the layer ``number``; see LayerPlaces."""
        self._body.take_reserved(written, self._offsets[number])
