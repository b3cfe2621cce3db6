"""Compression of the new layer: the same bytes from the same content, on all processors."""

from collections.abc import Iterator
from contextlib import contextmanager

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import UsageError
from rootrun.image.compression import WRITABLE, Compression

if TYPE_CHECKING:
    from rootrun.image.block_compressor import Compressor
    from rootrun.image.block_formats import BlockFormat


@contextmanager
def open_compressor(
    compression: Compression, *, thread_count: int | None = None
) -> "Iterator[Compressor | None]":
    """Give a compressor, None for NONE; raise UsageError for what is only read.

    It has a thread for each processor unless told, and none once the context ends. A
    fixed level, no name and no time in the header, and no library that is there by chance: each
    has other bytes. Those of ISA-L depend on the processor. The bytes still belong to the version
    of zlib and zstd; the diff_id does not.
    """
    if compression is Compression.NONE:
        yield None
        return
    # Most runs compress nothing.
    from rootrun.image.block_compressor import Compressor
    from rootrun.image.block_pool import BlockPool, usable_processors

    if thread_count is None:
        processors = usable_processors()
        thread_count = processors if processors > 1 else 0
    blocks = _format(compression)
    pool = BlockPool(min(thread_count, blocks.max_threads))
    try:
        yield Compressor(blocks, pool)
    finally:
        pool.close()


def compressor_version(compression: Compression) -> str:
    """Return what the bytes belong to that ``open_compressor`` makes of the same content."""
    return "" if compression is Compression.NONE else _format(compression).version


def _format(compression: Compression) -> "BlockFormat":
    from rootrun.image.block_formats import GzipBlocks, ZstdBlocks

    if compression is Compression.GZIP:
        return GzipBlocks()
    if compression is Compression.ZSTD:
        return ZstdBlocks()
    known = ", ".join(choice.value for choice in WRITABLE)
    raise UsageError(f"compress layer: {compression.value}: only read, not written; use {known}")
