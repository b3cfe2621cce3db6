"""What ``--copy`` brings into an image, as a digest: it is the same where the copies are."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator

from rootrun.errors import UsageError
from rootrun.layer.entry import name_bytes
from rootrun.request import CopyIn

_OPEN_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


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
    if stat.S_ISDIR(os.stat(copy.source).st_mode):  # the source itself may be a symlink
        yield from _parts_of_directory(os.fspath(copy.source))
    else:
        yield os.fsencode(copy.source.name)
        yield from _parts_of_file(os.path.realpath(copy.source))


def _parts_of_directory(top: str) -> Iterator[bytes]:
    waiting = [(top, "")]
    while waiting:
        directory, path = waiting.pop()
        yield from (b"directory", os.fsencode(path), _mode(os.stat(directory)))
        with os.scandir(directory) as scan:
            children = sorted(scan, key=lambda child: name_bytes(child.name))
        for child in children:
            below = f"{path}/{child.name}"
            if child.is_dir(follow_symlinks=False):
                waiting.append((child.path, below))
            else:
                yield os.fsencode(below)
                yield from _parts_of_file(child.path)


def _parts_of_file(path: str) -> Iterator[bytes]:
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        yield from (b"symlink", os.fsencode(os.readlink(path)))
        return
    yield from (b"other", _mode(status))
    if stat.S_ISREG(status.st_mode):
        with open(os.open(path, _OPEN_FILE), "rb") as file:
            yield hashlib.file_digest(file, "sha256").digest()


def _mode(status: os.stat_result) -> bytes:
    return b"%o" % status.st_mode  # with the type
