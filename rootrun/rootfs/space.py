"""Whether what is to be unpacked has room, before any of it is."""

import os
from collections.abc import Iterable
from pathlib import Path

from rootrun.errors import StoreError
from rootrun.image.compression import Compression
from rootrun.image.image import Layer
from rootrun.sandbox.limits import size_text

_HEADER_SHARE = 8  # of a tar, at most: a header is 512 bytes, a file takes 4096 as a rule


def check_space(layers: Iterable[Layer], cache: Path) -> None:
    """Raise StoreError if the file system of ``cache`` has no room for ``layers``.

    Counts those that are stored uncompressed, whose size is known. What the others need shows only
    when they are unpacked.
    """
    plain = [layer for layer in layers if layer.compression is Compression.NONE]
    tar_bytes = sum(layer.blob.size_bytes for layer in plain)
    need_bytes = tar_bytes - tar_bytes // _HEADER_SHARE
    status = os.statvfs(cache)
    free_bytes = status.f_bavail * status.f_frsize
    if need_bytes > free_bytes and status.f_blocks:  # 0: a ramfs, or FUSE, does not tell
        raise StoreError(
            f"unpack image: {cache}: needs about {size_text(need_bytes)},"
            f" {size_text(free_bytes)} are free",
            hint="--cache-dir names another place, rootrun cache prune makes room",
        )
