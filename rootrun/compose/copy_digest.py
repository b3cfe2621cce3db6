"""What ``--copy`` brings into an image, as a digest: it is the same where the copies are."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator

from rootrun.compose.copy_source import OPEN_SOURCE, is_unpacked, source_status, walk
from rootrun.errors import UsageError
from rootrun.request import CopyIn


def digest_of_copies(copies: Iterable[CopyIn]) -> str:
    """Return the digest of what ``copy_in`` makes of ``copies``; all of it is read.

    Raises UsageError for what cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for copy in copies:
            for part in _parts(copy):
                digest.update(b"%d:%b" % (len(part), part))
    except OSError as error:
        raise UsageError(f"--copy: {error.filename!r}: {error.strerror}") from error
    return digest.hexdigest()


def _parts(copy: CopyIn) -> Iterator[bytes]:
    """Yield what a copy consists of; no two different ones have the same parts."""
    yield from (b"copy", os.fsencode(copy.destination))
    status = source_status(copy)
    if stat.S_ISDIR(status.st_mode):
        for found in walk(copy):
            yield os.fsencode(found.target)
            yield from _parts_of_path(found.path, found.status)
        return
    yield b"tar" if is_unpacked(copy, status) else os.fsencode(copy.source.name)
    yield from _parts_of_path(os.path.realpath(copy.source), status)


def _parts_of_path(path: str, status: os.stat_result) -> Iterator[bytes]:
    if stat.S_ISLNK(status.st_mode):
        yield from (b"symlink", os.fsencode(os.readlink(path)))
        return
    yield from (b"other", b"%o" % status.st_mode)  # with the type
    if stat.S_ISREG(status.st_mode):
        with open(os.open(path, OPEN_SOURCE), "rb") as file:
            yield hashlib.file_digest(file, "sha256").digest()
