"""Base blobs pass into the output byte for byte, and are verified there."""

import errno
import os
from pathlib import Path

from rootrun.dataclass import replace
from rootrun.errors import ImageError
from rootrun.image.blob import Blob, open_regular
from rootrun.image.image import Layer
from rootrun.image.output_file import write_at
from rootrun.image.stream import open_layer

_CHUNK_BYTES = 1 << 20
_RANGE_BYTES = 1 << 30
# Other file systems (before Linux 5.19), special ones, and seccomp filters that do not know it.
_NO_COPY_FILE_RANGE = {
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EBADF,
}


def copy_blob(blob: Blob, *, into: int, at: int) -> None:
    """Copy ``blob`` to the offset ``at`` of the descriptor ``into``, in the kernel if it can.

    File systems that share extents do so: copy_file_range(2) tries that first.
    Raises ImageError if the blob's file has become too short.
    """
    source, _ = open_regular(blob.path)
    try:
        done = _copy_in_kernel(source, blob, into=into, at=at)
        while done < blob.size_bytes:
            wanted = min(_CHUNK_BYTES, blob.size_bytes - done)
            content = os.pread(source, wanted, blob.offset + done)
            if not content:
                raise ImageError(f"read image: {blob.path}: the file ends too early")
            write_at(into, content, at + done)
            done += len(content)
    finally:
        os.close(source)


def _copy_in_kernel(source: int, blob: Blob, *, into: int, at: int) -> int:
    """Return how many bytes were copied; the rest is to be read and written."""
    done = 0
    while done < blob.size_bytes:
        wanted = min(_RANGE_BYTES, blob.size_bytes - done)
        try:
            count = os.copy_file_range(source, into, wanted, blob.offset + done, at + done)
        except OSError as error:
            if error.errno in _NO_COPY_FILE_RANGE:
                return done
            raise
        if not count:
            return done  # the end of the file, or a file system that cannot and does not say so
        done += count
    return done


def verify_copy(layer: Layer, path: Path, *, offset: int) -> None:
    """Raise DigestMismatchError unless the copy of ``layer`` at ``path`` is what it should be.

    The copy is read, not the source: so it is what was written that is known to be right.
    """
    copy = Blob(path, offset, layer.blob.size_bytes, whole_file=False)
    with open_layer(replace(layer, blob=copy)) as stream:
        stream.verify()
