"""The content of a layer, verified while it is read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rootrun.errors import DigestMismatchError
from rootrun.image.blob import Blob
from rootrun.image.compression import CHUNK_BYTES, Compression, open_decompressed
from rootrun.image.digest import Digest
from rootrun.image.image import Layer
from rootrun.layer.source import Readable
from rootrun.sha256 import Sha256


class _Hashing:
    """Passes on what ``source`` gives, as it is, and hashes it on the way."""

    def __init__(self, source: Readable, *, advance: Callable[[int], None] | None = None) -> None:
        self._source = source
        self._hash = Sha256()
        self._advance = advance

    def read(self, size: int, /) -> bytes:
        content = self._source.read(size)
        self._hash.update(content)
        if self._advance and content:
            self._advance(len(content))
        return content

    @property
    def digest(self) -> Digest:
        """The digest of all that was read so far."""
        return Digest(f"sha256:{self._hash.hexdigest()}")


class ContentStream:
    """The uncompressed content of a blob, and the digests of both when it is drained.

    Nothing copies a piece on its way from the file, or from the decoder, to who reads: ask for
    large ones.
    """

    def __init__(
        self,
        reader: Readable,
        compression: Compression,
        *,
        where: str,
        advance: Callable[[int], None] | None = None,
    ) -> None:
        self._stored = self._content = _Hashing(reader, advance=advance)
        if compression is not Compression.NONE:
            self._content = _Hashing(open_decompressed(self._stored, compression, where=where))

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes of the content, none at its end only."""
        return self._content.read(size)

    def drain(self) -> tuple[Digest, Digest]:
        """Read to the end; return the digests of the blob and of the content."""
        while self._content.read(CHUNK_BYTES):
            pass
        return self._stored.digest, self._content.digest


class LayerStream:
    """A layer's tar. Nothing that was read is to be trusted before ``verify`` returned."""

    def __init__(self, layer: Layer, content: ContentStream) -> None:
        self._layer = layer
        self._content = content
        self._digest: Digest | None = None
        self.read = content.read

    @property
    def digest(self) -> Digest:
        """The digest of the blob as it is stored; there is none before ``verify``."""
        if self._digest is None:
            raise ValueError("not verified yet")
        return self._digest

    def verify(self) -> None:
        """Read the rest; raise DigestMismatchError unless all is what the image promises.

        The rest counts: readers of tars stop at two zero blocks, digests do not.
        """
        digest, diff_id = self._content.drain()
        layer = self._layer
        if layer.digest not in (None, layer.diff_id):  # one hash, if it is not compressed
            _require_equal(digest, layer.digest, where=f"{layer.where}: digest")
        _require_equal(diff_id, layer.diff_id, where=f"{layer.where}: diff_id")
        self._digest = digest


@contextmanager
def open_layer(
    layer: Layer, *, advance: Callable[[int], None] | None = None
) -> Iterator[LayerStream]:
    """Open the tar of ``layer`` for one reading from the start.

    ``advance`` hears of the bytes of the blob read since it was last called;
    ``layer.blob.size_bytes`` are to come.
    """
    with layer.blob.open() as reader:
        content = ContentStream(reader, layer.compression, where=layer.where, advance=advance)
        yield LayerStream(layer, content)


def content_digests(blob: Blob, compression: Compression) -> tuple[Digest, Digest]:
    """Return the digests of ``blob`` and of its content."""
    with blob.open() as reader:
        return ContentStream(reader, compression, where=str(blob.path)).drain()


def _require_equal(got: Digest, want: Digest, *, where: str) -> None:
    if got != want:
        raise DigestMismatchError(f"read image: {where}: want {want}, got {got}")
