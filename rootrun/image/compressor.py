"""Compression of the new layer: the same bytes from the same content."""

from rootrun.annotation import Protocol
from rootrun.errors import UsageError
from rootrun.image.compression import WRITABLE, Compression

_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3


class Compressor(Protocol):
    """A compressor of one blob."""

    def compress(self, content: bytes | memoryview, /) -> bytes:
        """Take content; return what is ready."""

    def flush(self) -> bytes:
        """Return the rest, once."""


def open_compressor(compression: Compression) -> Compressor | None:
    """Return a compressor, None for NONE; raise UsageError for what is only read.

    One thread, a fixed level, no name and no time in the header, and never a
    faster library than the standard one, if installed: each has other bytes. The bytes still belong
    to the version of zlib and zstd; the diff_id does not.
    """
    if compression is Compression.NONE:
        return None
    if compression is Compression.GZIP:
        import zlib

        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31)  # 31: a gzip header
    if compression is Compression.ZSTD:
        return _zstd_compressor()
    known = ", ".join(choice.value for choice in WRITABLE)
    raise UsageError(f"compress layer: {compression.value}: only read, not written; use {known}")


def compressor_version(compression: Compression) -> str:
    """Return what the bytes belong to that ``open_compressor`` makes of the same content."""
    match compression:
        case Compression.GZIP:
            import zlib

            return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, level {_GZIP_LEVEL}"
        case Compression.ZSTD:
            return f"zstd {_zstd_version()}, level {_ZSTD_LEVEL}"
        case _:
            return ""


def _zstd_compressor() -> Compressor:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    checked: dict[int, int] = {
        zstd.CompressionParameter.compression_level: _ZSTD_LEVEL,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.ZstdCompressor(options=checked)


def _zstd_version() -> str:
    import sys

    if sys.version_info >= (3, 14):
        from compression.zstd import zstd_version
    else:
        from backports.zstd import zstd_version
    return zstd_version
