"""Writing a docker-archive to stdout as it is made: what is written is stored nowhere.

A header comes before the content whose digest is not known by then, so that the new layers are
members named by their positions, and their places in the first format are symlinks to these. The
base's blobs come behind them, and at last what makes an image of it all: a reader that sees the
end of it too early has none.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

from rootrun.image.archive_documents import NewImage, describe_images
from rootrun.image.archive_member import file_member, member_header, symlink_member
from rootrun.image.blob import Blob, file_blob
from rootrun.image.blob_copy import CREATE
from rootrun.image.compression import Compression
from rootrun.image.digest import digest_of
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput, WrittenLayer, open_layer_output
from rootrun.image.output_file import STDOUT, write_at, writing
from rootrun.image.side_hash import SideHash
from rootrun.image.stream import open_layer
from rootrun.image.written import WrittenImage, layer_of, without_repetitions
from rootrun.layer.header import BLOCK_BYTES

_STDOUT = 1
_CHUNK_BYTES = 1 << 20
_WORTH_A_THREAD_BYTES = 1 << 20


class StreamSink:
    """A docker-archive on its way through stdout; see Sink. There is nothing to ``commit``."""

    def __init__(self, base: tuple[Layer, ...], *, scratch: Path, compression: Compression) -> None:
        self.layers = list(base)
        self._base = without_repetitions(base)
        self._scratch = scratch
        self._compression = compression
        self._body = _StreamBody(self._base)

    def write_base(self, is_verified: Callable[[Layer], bool]) -> None:
        """Verify what ``is_verified`` does not vouch for; ``finish`` writes it."""
        for layer in self._base.values():
            if not is_verified(layer):
                with open_layer(layer) as stream:
                    stream.verify()

    @contextmanager
    def new_layer(self) -> Iterator[LayerOutput]:
        """Open the next layer; what is of unknown size is a file first. See Sink."""
        path = self._scratch / f"streamed-{len(self.layers)}"
        with writing(STDOUT):
            descriptor = os.open(path, CREATE, 0o600)
        try:
            write = partial(write_at, descriptor)
            with open_layer_output(write, 0, self._compression) as output:
                yield output
                written = output.finish()
        finally:
            os.close(descriptor)
        self.add_layer(layer_of(written, file_blob(path), position=len(self.layers) + 1))

    def add_layer(self, layer: Layer) -> None:
        """Write the next layer; see Sink."""
        if not self._body.has(layer.stored_key):
            with self._body.blob(layer.blob.size_bytes, position=len(self.layers) + 1):
                copy_to_stdout(layer.blob)
            self._body.note(layer.stored_key, position=len(self.layers) + 1)
        self.layers.append(layer)

    def place_layers(self, sizes_bytes: Sequence[int]) -> "_StreamPlaces | None":
        """Get ready for layers of these sizes; see Sink."""
        if self._compression is not Compression.NONE:
            return None
        return _StreamPlaces(self, self._body, sizes_bytes)

    def finish(self, config_bytes: bytes, *, names: tuple[str, ...]) -> WrittenImage:
        """Write the base, and all that describes the layers; see Sink."""
        describe_images(self._body, [NewImage(config_bytes, names, self.layers)])
        return WrittenImage(digest_of(config_bytes), None)

    def commit(self) -> None:
        """Do nothing: all is written; see Sink."""


class _StreamPlaces:
    """The places of layers in a stream; see LayerPlaces."""

    is_in_order = True

    def __init__(self, sink: StreamSink, body: "_StreamBody", sizes_bytes: Sequence[int]) -> None:
        self._sink = sink
        self._body = body
        self._sizes_bytes = sizes_bytes

    @contextmanager
    def open(self, number: int) -> Iterator[LayerOutput]:
        """Write the header of the layer ``number``, and open it; see LayerPlaces."""
        size_bytes, position = self._sizes_bytes[number], len(self._sink.layers) + 1
        with self._body.blob(size_bytes, position=position), ExitStack() as cleanup:
            content_hash = None
            if size_bytes >= _WORTH_A_THREAD_BYTES:
                content_hash = cleanup.enter_context(closing(SideHash()))
            yield LayerOutput(_write_next, 0, Compression.NONE, None, content_hash)

    def take(self, number: int, written: WrittenLayer) -> None:
        """Take the layer ``number``, which nobody can read any more; see LayerPlaces."""
        position = len(self._sink.layers) + 1
        blob = Blob(STDOUT, 0, self._sizes_bytes[number], whole_file=False)
        self._body.note(written.digest, position=position)
        self._sink.layers.append(layer_of(written, blob, position=position))


class _StreamBody:
    """The members of the archive; see Body."""

    def __init__(self, base: Mapping[str, Layer]) -> None:
        self._base = base
        self._members: dict[str, str] = {}  # that were written, by the layers' stored keys

    def has(self, key: str) -> bool:
        """Say whether the blob ``key`` was written."""
        return key in self._members

    def note(self, key: str, *, position: int) -> None:
        """Have the blob ``key`` be the one that was written for the layer at ``position``."""
        self._members.setdefault(key, _member_name(position))

    @contextmanager
    def blob(self, size_bytes: int, *, position: int) -> Iterator[None]:
        """Write the header of a layer, and what it ends with; who asks writes the content."""
        write_stdout(member_header(file_member(_member_name(position), size_bytes)))
        yield
        write_stdout(bytes(-size_bytes % BLOCK_BYTES))

    def name_layers(self, names: Mapping[str, str]) -> Mapping[str, str]:
        """Write the blobs of the base that are not there yet, under ``names``; see Body."""
        for key, layer in self._base.items():
            if key not in self._members:
                self._members[key] = names[key]
                size_bytes = layer.blob.size_bytes
                write_stdout(member_header(file_member(names[key], size_bytes)))
                copy_to_stdout(layer.blob)
                write_stdout(bytes(-size_bytes % BLOCK_BYTES))
        return self._members

    def add(self, name: str, content: bytes) -> None:
        """Append a member."""
        padding = bytes(-len(content) % BLOCK_BYTES)
        write_stdout(member_header(file_member(name, len(content))) + content + padding)

    def add_symlink(self, name: str, target: str) -> None:
        """Append a member that is a symlink."""
        write_stdout(member_header(symlink_member(name, target)))

    def finish(self) -> None:
        """Write the two zero blocks."""
        write_stdout(bytes(2 * BLOCK_BYTES))


def copy_to_stdout(blob: Blob) -> None:
    """Write all of ``blob`` to stdout. Raises OutputError, and ImageError if it cannot be read."""
    with blob.open() as reader:
        while content := reader.read(_CHUNK_BYTES):
            write_stdout(content)


def write_stdout(content: bytes | memoryview) -> None:
    """Write all of ``content`` to stdout, at once; raises OutputError."""
    view = memoryview(content)
    with writing(STDOUT):
        while view:
            view = view[os.write(_STDOUT, view) :]


def _write_next(content: bytes | memoryview, _: int) -> None:
    """Write to where stdout is: a pipe has no offsets."""
    write_stdout(content)


def _member_name(position: int) -> str:
    return f"{position}/layer.tar"
