"""What ``--copy`` names on this host: what it is, and all that is in it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rootrun.errors import ImageError, UsageError
from rootrun.image.blob import file_blob
from rootrun.image.compression import MAGIC_BYTES, Compression, open_decompressed, sniff
from rootrun.image.stream import ContentStream
from rootrun.layer.entry import name_bytes
from rootrun.layer.header import BLOCK_BYTES
from rootrun.namedtuple import NamedTuple
from rootrun.request import CopyIn

OPEN_SOURCE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

_USTAR = b"ustar"  # of POSIX and of GNU; what came before has nothing to be known by
_USTAR_FIELD = slice(257, 262)

_Above = tuple[tuple[int, int], "_Above"] | None  # device and inode of a directory, and so on up


class Source(NamedTuple):
    """One path of the host that is to be copied; ``target`` is relative to the destination."""

    path: str
    target: str
    status: os.stat_result  # a symlink's own


def source_status(copy: CopyIn) -> os.stat_result:
    """Return what ``copy`` names, which may be a symlink to it; UsageError if it is not there."""
    try:
        return os.stat(copy.source)
    except OSError as error:
        raise UsageError(f"--copy: {os.fspath(copy.source)!r}: {error.strerror}") from error


def is_unpacked(copy: CopyIn, status: os.stat_result) -> bool:
    """Say whether ``copy`` is of a tar that is to be unpacked.

    That is one whose destination is said to be a directory by a slash at its end. What a tar is
    is told by its content, plain or compressed, as a Dockerfile's ADD does it.
    """
    if not copy.destination.endswith("/") or not stat.S_ISREG(status.st_mode):
        return False
    try:
        return _first_block(copy.source)[_USTAR_FIELD] == _USTAR
    except ImageError:
        return False  # compressed by what we do not read, or not at all: a file like others


def _first_block(path: Path) -> bytes:
    """Return what the uncompressed content of a file begins with.

    No more of it is looked at: a tar that is damaged further on is one, and is to be told.
    """
    blob = file_blob(path)
    where = os.fspath(path)
    compression = sniff(blob.head(MAGIC_BYTES), where=where)
    with blob.open() as reader:
        is_plain = compression is Compression.NONE
        content = reader if is_plain else open_decompressed(reader, compression, where=where)
        block = b""
        while len(block) < BLOCK_BYTES and (piece := content.read(BLOCK_BYTES - len(block))):
            block += piece
    return block


@contextmanager
def opened_tar(path: Path) -> Iterator[ContentStream]:
    """Open the uncompressed content of the file ``path``; raises ImageError."""
    blob = file_blob(path)
    compression = sniff(blob.head(MAGIC_BYTES), where=os.fspath(path))
    with blob.open() as reader:
        yield ContentStream(reader, compression, where=os.fspath(path))


def walk(copy: CopyIn) -> Iterator[Source]:
    """Yield all in the directory ``copy.source``, first itself; each before what is in it.

    The order is that of the names' bytes, so that it is the same on every host. Raises OSError.
    """
    top = os.fspath(copy.source)
    status = os.stat(top)
    waiting: list[tuple[Source, _Above]] = [(Source(top, "", status), None)]
    while waiting:
        directory, above = waiting.pop()
        yield directory
        if not stat.S_ISDIR(directory.status.st_mode):
            continue
        inside = ((directory.status.st_dev, directory.status.st_ino), above)
        with os.scandir(directory.path) as scan:
            names = sorted((child.name for child in scan), key=name_bytes, reverse=True)
        prefix = f"{directory.target}/" if directory.target else ""
        for name in names:
            path = f"{directory.path}/{name}"
            status = os.lstat(path)
            if copy.copies_dirlinks and stat.S_ISLNK(status.st_mode):
                status = _followed(path, status, inside)
            waiting.append((Source(path, f"{prefix}{name}", status), inside))


def _followed(path: str, own: os.stat_result, above: _Above) -> os.stat_result:
    """Return the status of the directory that a symlink leads to, else its own.

    One that leads to a directory above it stays a symlink: there would be no end.
    """
    try:
        status = os.stat(path)
    except OSError:
        return own
    if not stat.S_ISDIR(status.st_mode):
        return own
    while above is not None:
        directory, above = above
        if directory == (status.st_dev, status.st_ino):
            return own
    return status
