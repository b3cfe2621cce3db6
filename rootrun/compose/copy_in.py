"""Copying files of the host into the root, before the script runs."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rootrun import log
from rootrun.compose.copy_place import Placing
from rootrun.compose.copy_source import OPEN_SOURCE, is_unpacked, source_status, walk
from rootrun.errors import ImageError, LayerError, UsageError
from rootrun.layer.content import copy_content
from rootrun.layer.entry import EntryPath, join
from rootrun.request import CopyIn

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def copy_in(copies: Iterable[CopyIn], *, root: Path, mtime_s: int) -> None:
    """Copy each source into the root mounted at ``root``; later ones win.

    The content of a directory, or of a tar whose destination ends in a slash, is merged into the
    destination; where the image has a symlink to a directory there, it is followed inside the root,
    so that ``bin/x`` lands in ``/usr/bin`` of a merged-usr image. Directories that exist
    keep their metadata, but for the mode where a copy sets modes. All that is new belongs to 0:0,
    with the source's mode and the time ``mtime_s``. Raises UsageError for what cannot be copied.
    """
    root_fd = os.open(root, _OPEN_DIRECTORY)
    try:
        for copy in copies:
            placing = Placing(root_fd, mtime_s=mtime_s, sets_modes=copy.sets_modes)
            with _told(copy, root), placing:
                _copy(copy, placing)
    finally:
        os.close(root_fd)


def copy_to_same_place(path: str, *, root: Path, mtime_s: int) -> None:
    """Copy what is at the absolute ``path`` of the host to the same place in the root, as it is.

    A symlink stays one. Owners and times are those of ``copy_in``. Raises OSError, and LayerError
    for what the root has in the way.
    """
    target = EntryPath(path.strip("/"))
    status = os.lstat(path)
    root_fd = os.open(root, _OPEN_DIRECTORY)
    try:
        with Placing(root_fd, mtime_s=mtime_s) as placing:
            if stat.S_ISDIR(status.st_mode):
                source = CopyIn(source=Path(path), destination=path)
                _copy_directory(source, target, placing)
            else:
                _copy_one(path, status, target, placing)
    finally:
        os.close(root_fd)


@contextmanager
def _told(copy: CopyIn, root: Path) -> Iterator[None]:
    """Turn what goes wrong into a UsageError that names the copy."""
    try:
        yield
    except ImageError as error:
        raise UsageError(f"--copy: {os.fspath(copy.source)!r}: {error}") from error
    except LayerError as error:
        raise UsageError(f"--copy: {copy.destination}: in the image: {error}") from error
    except OSError as error:
        raise UsageError(f"--copy: {error.filename or root}: {error.strerror}") from error


def _copy(copy: CopyIn, placing: Placing) -> None:
    destination = EntryPath(copy.destination.strip("/"))
    status = source_status(copy)
    if stat.S_ISDIR(status.st_mode):
        _copy_directory(copy, destination, placing)
    elif is_unpacked(copy, status):
        from rootrun.compose.copy_tar import unpack_tar

        log.info("copy: %s: unpacked to %s", copy.source, copy.destination)
        unpack_tar(copy, destination, placing)
    else:
        into = copy.destination.endswith("/") or placing.has_directory(destination)
        target = join(destination, copy.source.name) if into else destination
        _copy_one(os.path.realpath(copy.source), status, target, placing)


def _copy_directory(copy: CopyIn, destination: EntryPath, placing: Placing) -> None:
    for found in walk(copy):
        target = join(destination, found.target) if found.target else destination
        if stat.S_ISDIR(found.status.st_mode):
            placing.directory(target, stat.S_IMODE(found.status.st_mode))
        else:
            _copy_one(found.path, found.status, target, placing)


def _copy_one(source: str, status: os.stat_result, target: EntryPath, placing: Placing) -> None:
    """Copy a file, symlink or fifo to ``target``, replacing what is there."""
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        link_target = os.readlink(source)
        placing.node(target, lambda name, fd: os.symlink(link_target, name, dir_fd=fd), mode=None)
    elif stat.S_ISREG(status.st_mode):
        placing.node(target, lambda name, fd: _copy_content(source, name, fd), mode=mode)
    elif stat.S_ISFIFO(status.st_mode):
        placing.node(target, lambda name, fd: os.mkfifo(name, dir_fd=fd), mode=mode)
    else:
        raise UsageError(f"--copy: {source!r}: not a file, directory, symlink or fifo")


def _copy_content(source: str, name: str, directory_fd: int) -> None:
    source_fd = os.open(source, OPEN_SOURCE)
    try:
        copy_content(source_fd, name, directory_fd=directory_fd)
    finally:
        os.close(source_fd)
