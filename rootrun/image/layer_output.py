"""The new layer on its way into the output: compressed and hashed while it is written."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rootrun.annotation import TYPE_CHECKING, Protocol
from rootrun.image.compression import Compression
from rootrun.image.compressor import open_compressor
from rootrun.image.digest import Digest, hex_of
from rootrun.namedtuple import NamedTuple
from rootrun.sha256 import Sha256

if TYPE_CHECKING:
    from rootrun.image.block_compressor import BlockMemory, Compressor

_WriteAt = Callable[[bytes | memoryview, int], None]


class ContentHash(Protocol):
    """A SHA-256 in the making, of what does not change any more."""

    def update(self, content: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...


class WrittenLayer(NamedTuple):
    """The layer that was written. ``digest`` and ``size_bytes`` are those of its blob."""

    diff_id: Digest
    digest: Digest
    size_bytes: int
    compression: Compression


class LayerOutput:
    """Takes the layer's tar; see ``open_layer_output``."""

    def __init__(
        self,
        write_at: _WriteAt,
        offset: int,
        compression: Compression,
        compressor: "Compressor | None",
        content_hash: ContentHash | None = None,
    ) -> None:
        self._write_at = write_at
        self._start = self._offset = offset
        self._compression = compression
        self._compressor = compressor
        self._content_hash: ContentHash = content_hash or Sha256()
        self._blob_hash: ContentHash = Sha256() if compressor else self._content_hash
        self._written: WrittenLayer | None = None

    def remember_with(self, memory: "BlockMemory") -> None:
        """Take from ``memory`` what was compressed before; to be said before any content."""
        if self._compressor:
            self._compressor.remember_with(memory)

    def believe(self, diff_id: Digest) -> None:
        """Hash nothing: the tar, which is not compressed, is what it was. Before any content."""
        assert self._compressor is None
        self._content_hash = self._blob_hash = _Known(diff_id)

    def write(self, content: bytes | memoryview) -> int:
        """Take the next piece; returns how much was taken: all.

        Large pieces are better. They must not change any more.
        """
        self._content_hash.update(content)
        self._write_blob(self._compressor.compress(content) if self._compressor else content)
        return len(content)

    def finish(self) -> WrittenLayer:
        """Write what the compressor holds back; the layer is complete."""
        if self._compressor:
            self._write_blob(self._compressor.flush())
        self._written = WrittenLayer(
            Digest(f"sha256:{self._content_hash.hexdigest()}"),
            Digest(f"sha256:{self._blob_hash.hexdigest()}"),
            self._offset - self._start,
            self._compression,
        )
        return self._written

    @property
    def written(self) -> WrittenLayer:
        """What was written; there is none before ``finish``."""
        if self._written is None:
            raise ValueError("the layer is not finished")
        return self._written

    def _write_blob(self, content: bytes | memoryview) -> None:
        if self._blob_hash is not self._content_hash:
            self._blob_hash.update(content)
        self._write_at(content, self._offset)
        self._offset += len(content)


class _Known:
    """The digest of what need not be hashed; see ContentHash."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest

    def update(self, _: bytes | memoryview) -> None:
        """Take nothing in."""

    def hexdigest(self) -> str:
        """Return the digits that were known before."""
        return hex_of(self._digest)


@contextmanager
def open_layer_output(
    write_at: _WriteAt,
    offset: int,
    compression: Compression,
    *,
    thread_count: int | None = None,
) -> Iterator[LayerOutput]:
    """Open a layer whose blob is given to ``write_at``, from ``offset`` on.

    What compresses it, with as many threads as ``open_compressor`` gives, is gone when the context
    ends, by which it must be finished.
    """
    with open_compressor(compression, thread_count=thread_count) as compressor:
        yield LayerOutput(write_at, offset, compression, compressor)
