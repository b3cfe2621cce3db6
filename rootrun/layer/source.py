"""Where the bytes of a tar come from: a stream, or a file that is read here and there."""

import os
from collections.abc import Iterator

from rootrun.annotation import Protocol
from rootrun.errors import LayerError

CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """A stream: ``read(size)`` gives up to ``size`` bytes, none at the end only."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        ...


class Source(Protocol):
    """What the parser needs of a tar."""

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer at the end only."""
        ...

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; LayerError if the tar ends before."""
        ...


def truncated() -> LayerError:
    """Return the error for a tar that ends inside an entry."""
    return LayerError("read tar: ends in the middle of an entry: truncated")


class StreamSource:
    """Reads a stream in chunks of 1 MiB, ahead of what is taken from it."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._buffer = b""
        self._view = memoryview(b"")
        self._position = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer at the end only."""
        end = self._position + size
        if end <= len(self._buffer):
            taken = self._buffer[self._position : end]
            self._position = end
            return taken
        return b"".join(self._chunks(size))

    def at_hand(self, size: int) -> memoryview | None:
        """Return the next ``size`` bytes if all of them were read ahead; else take nothing."""
        start = self._position
        end = start + size
        if end > len(self._buffer):
            return None
        self._position = end
        return self._view[start:end]

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; LayerError if the stream ends before."""
        for _ in self.chunks(size):
            pass

    def skip_padding(self, size: int) -> None:
        """Pass over ``size`` bytes, which may be missing at the end."""
        end = self._position + size
        if end <= len(self._buffer):
            self._position = end
        else:
            for _ in self._chunks(size):
                pass

    def chunks(self, size: int) -> Iterator[memoryview]:
        """Yield the next ``size`` bytes in pieces; LayerError if the stream ends before.

        A piece that is not asked for is still in the stream.
        """
        for chunk in self._chunks(size):
            size -= len(chunk)
            yield chunk
        if size:
            raise truncated()

    def _chunks(self, size: int) -> Iterator[memoryview]:
        while size:
            available = len(self._buffer) - self._position
            if not available:
                self._buffer, self._position = self._stream.read(CHUNK_BYTES), 0
                self._view = memoryview(self._buffer)
                available = len(self._buffer)
                if not available:
                    return
            start, length = self._position, min(size, available)
            self._position += length
            size -= length
            yield self._view[start : start + length]


class FileSource:
    """Reads ``fd`` by pread(2), so that what is passed over is not read.

    ``size_bytes`` is of the file. ``offset`` is where the next bytes are.
    """

    def __init__(self, fd: int, size_bytes: int) -> None:
        self._fd = fd
        self._size_bytes = size_bytes
        self.offset = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes, fewer at the end only."""
        pieces: list[bytes] = []
        while size:
            piece = os.pread(self._fd, min(size, self._size_bytes - self.offset), self.offset)
            if not piece:
                break
            pieces.append(piece)
            self.offset += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def skip(self, size: int) -> None:
        """Pass over ``size`` bytes; LayerError if the file ends before."""
        if size > self._size_bytes - self.offset:
            raise truncated()
        self.offset += size
