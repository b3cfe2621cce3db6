"""Blobs: bytes on disk, a file or a part of one."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rootrun.errors import ImageError, told_as
from rootrun.namedtuple import NamedTuple

_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # O_NONBLOCK: a fifo must not hang


class Blob(NamedTuple):
    """``size_bytes`` bytes of the file ``path`` from ``offset`` on."""

    path: Path
    offset: int
    size_bytes: int
    whole_file: bool  # nothing else is in the file, so that it can be linked

    @contextmanager
    def open(self) -> Iterator["BlobReader"]:
        """Open the blob for reading; raises ImageError where it cannot be."""
        descriptor, _ = open_regular(self.path)
        try:
            yield BlobReader(descriptor, self)
        finally:
            os.close(descriptor)

    def read(self, *, limit_bytes: int, where: str) -> bytes:
        """Return the whole content, which must not be larger than ``limit_bytes``."""
        if self.size_bytes > limit_bytes:
            raise ImageError(
                f"read image: {where}: {self.size_bytes} bytes, more than {limit_bytes}"
            )
        with self.open() as reader:
            return b"".join(iter(lambda: reader.read(self.size_bytes), b""))

    def head(self, size: int) -> bytes:
        """Return the first bytes, at most ``size``."""
        with self.open() as reader:
            return reader.read(size)


class BlobReader:
    """A reader bound to one blob; its position is its own, not the descriptor's."""

    def __init__(self, descriptor: int, blob: Blob) -> None:
        self._descriptor = descriptor
        self._blob = blob
        self._position = 0

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end only."""
        size = min(size, self._blob.size_bytes - self._position)
        if not size:
            return b""
        with told_as(ImageError, "read image", self._blob.path):
            content = os.pread(self._descriptor, size, self._blob.offset + self._position)
        if not content:
            raise ImageError(f"read image: {self._blob.path}: the file ends too early")
        self._position += len(content)
        return content


def open_regular(path: Path) -> tuple[int, os.stat_result]:
    """Open a regular file; return its descriptor, which is the caller's, and its status.

    Anything else is an ImageError, and is not waited for: fifos and devices
    among the blobs are a way to hang a reader.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise ImageError(f"read image: {path}: not a regular file") from error
        raise ImageError(f"read image: {path}: {error.strerror}") from error
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status
    os.close(descriptor)
    raise ImageError(f"read image: {path}: {_kind(status.st_mode)}", hint=_hint(status.st_mode))


def file_blob(path: Path) -> Blob:
    """Return the blob that is the whole file ``path``."""
    descriptor, status = open_regular(path)
    os.close(descriptor)
    return Blob(path, 0, status.st_size, whole_file=True)


def _kind(mode: int) -> str:
    return "is a directory" if stat.S_ISDIR(mode) else "not a regular file"


def _hint(mode: int) -> str | None:
    return "an image is read from a pipe as --from -" if stat.S_ISFIFO(mode) else None
