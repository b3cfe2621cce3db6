"""Compressed formats as a row of blocks, each of which can be made without the others.

Blocks have one size, which does not depend on the machine: neither do the bytes.
"""

import sys
import zlib

from rootrun.annotation import Protocol

_GZIP_LEVEL = 4  # of 6: twice as fast, and 1 percent of the content larger
_GZIP_BLOCK_BYTES = 1 << 18
_DEFLATE_WINDOW_BYTES = 1 << 15
_RAW_DEFLATE = -15
_MEMORY_LEVEL = 8
# RFC 1952, 2.3: deflate, no flags, no time, nothing told of the level, made on Unix.
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
_LAST_DEFLATE_BLOCK = b"\x03\x00"  # RFC 1951, 3.2.3: the last one, fixed codes, empty

_ZSTD_LEVEL = 3
_ZSTD_BLOCK_BYTES = 1 << 21  # the window of the level; 0.5 percent larger than in one frame


class BlockFormat(Protocol):
    """One blob in the making: head, blocks, tail."""

    version: str  # what the bytes belong to
    head: bytes
    block_bytes: int
    history_bytes: int  # how much of the content before it a block needs
    max_threads: int  # more would take more memory than they are worth

    def pack(self, block: memoryview, history: memoryview) -> bytes:
        """Return the compressed form of ``block``, which comes after ``history``. Any thread."""

    def note(self, content: bytes | memoryview) -> None:
        """Hear of all content, in order."""

    def tail(self) -> bytes:
        """Return what follows the last block."""


class GzipBlocks:
    """One member (RFC 1952), since some readers stop after the first, made as pigz makes it.

    Each block ends at a byte, by an empty stored block (Z_SYNC_FLUSH), and refers to the content
    before it: that is its dictionary.
    """

    version = (
        f"zlib {zlib.ZLIB_RUNTIME_VERSION}, level {_GZIP_LEVEL}, blocks of {_GZIP_BLOCK_BYTES}"
    )
    head = _GZIP_HEAD
    block_bytes = _GZIP_BLOCK_BYTES
    history_bytes = _DEFLATE_WINDOW_BYTES
    max_threads = 16  # of 2 MiB, and as fast as the hashes, which one thread makes

    def __init__(self) -> None:
        self._crc = self._size_bytes = 0

    def pack(self, block: memoryview, history: memoryview) -> bytes:
        """Return ``block`` deflated; see BlockFormat."""
        compressor = zlib.compressobj(
            _GZIP_LEVEL, zlib.DEFLATED, _RAW_DEFLATE, _MEMORY_LEVEL, zdict=history
        )
        return compressor.compress(block) + compressor.flush(zlib.Z_SYNC_FLUSH)

    def note(self, content: bytes | memoryview) -> None:
        """Add to the checksum."""
        self._crc = zlib.crc32(content, self._crc)
        self._size_bytes += len(content)

    def tail(self) -> bytes:
        """Return the end of the member: checksum, and size modulo 2^32."""
        size_bytes = self._size_bytes & 0xFFFFFFFF
        return (
            _LAST_DEFLATE_BLOCK + self._crc.to_bytes(4, "little") + size_bytes.to_bytes(4, "little")
        )


class ZstdBlocks:
    """Frames (RFC 8878, 3.1), each with a checksum and on its own.

    libzstd's own threads make one frame of all, but are a matter of how it was built, and their
    number would show in what is made with none of them.
    """

    head = b""
    block_bytes = _ZSTD_BLOCK_BYTES
    history_bytes = 0
    max_threads = 6  # of 10 MiB, and as fast as the hashes

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        self._pack = zstd.compress
        self._options: dict[int, int] = {
            zstd.CompressionParameter.compression_level: _ZSTD_LEVEL,
            zstd.CompressionParameter.checksum_flag: 1,
        }
        self.version = (
            f"zstd {zstd.zstd_version}, level {_ZSTD_LEVEL}, frames of {_ZSTD_BLOCK_BYTES}"
        )

    def pack(self, block: memoryview, history: memoryview) -> bytes:  # noqa: ARG002 # see BlockFormat
        """Return ``block`` as a frame; see BlockFormat."""
        return self._pack(block, options=self._options)

    def note(self, content: bytes | memoryview) -> None:
        """Do nothing: each frame has its own checksum."""

    def tail(self) -> bytes:
        """Return nothing: frames follow each other."""
        return b""
