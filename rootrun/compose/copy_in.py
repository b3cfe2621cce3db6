"""Copying files of the host into the root, before the script runs."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from rootrun.errors import UsageError
from rootrun.layer.entry import EntryPath, join, parent
from rootrun.layer.removal import remove_tree
from rootrun.layer.tree import Tree
from rootrun.request import CopyIn

_COPY_BLOCK = 1 << 24
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_in(copies: Iterable[CopyIn], *, root: Path, mtime_s: int) -> None:
    """Copy each source into the root mounted at ``root``; later ones win.

    A directory's content is merged into the destination; where the image has a
    symlink to a directory there, it is followed inside the root, so that
    ``bin/x`` lands in ``/usr/bin`` of a merged-usr image. Directories that exist
    keep their metadata. All that is new belongs to 0:0, with the source's mode
    and the time ``mtime_s``. Raises UsageError for what cannot be copied.
    """
    root_fd = os.open(root, _OPEN_DIRECTORY)
    try:
        for copy in copies:
            with Tree(root_fd) as tree:
                _copy(copy, tree, mtime_s=mtime_s)
    except OSError as error:
        raise UsageError(f"--copy: {error.filename or root}: {error.strerror}") from error
    finally:
        os.close(root_fd)


def _copy(copy: CopyIn, tree: Tree, *, mtime_s: int) -> None:
    destination = EntryPath(copy.destination.strip("/"))
    try:
        status = os.stat(copy.source)  # the source itself may be a symlink
    except OSError as error:
        raise UsageError(f"--copy: {copy.source}: {error.strerror}") from error
    copier = _Copier(tree, mtime_s=mtime_s)
    if stat.S_ISDIR(status.st_mode):
        copier.copy_directory(os.fspath(copy.source), destination)
        return
    into = copy.destination.endswith("/") or tree.find_directory(destination) is not None
    target = join(destination, copy.source.name) if into else destination
    copier.copy_one(os.path.realpath(copy.source), target)


class _Copier:
    """Copies trees of the host into ``tree``."""

    def __init__(self, tree: Tree, *, mtime_s: int) -> None:
        self._tree = tree
        self._times = (mtime_s, mtime_s)

    def copy_directory(self, source: str, target: EntryPath) -> None:
        """Merge the content of ``source`` into ``target``."""
        is_new = self._tree.find_directory(target) is None
        self._tree.resolve_directory(target)
        with os.scandir(source) as scan:
            children = sorted(scan, key=lambda child: os.fsencode(child.name))
        for child in children:
            path = join(target, child.name)
            if child.is_dir(follow_symlinks=False):
                self.copy_directory(child.path, path)
            else:
                self.copy_one(child.path, path)
        if is_new:
            directory = self._tree.resolve_directory(target)
            os.fchmod(directory.fd, stat.S_IMODE(os.stat(source).st_mode))
            os.utime(directory.fd, self._times)

    def copy_one(self, source: str, target: EntryPath) -> None:
        """Copy a file, symlink or fifo to ``target``, replacing what is there."""
        directory = self._tree.resolve_directory(parent(target))
        name = target.rpartition("/")[2]
        status = os.lstat(source)
        remove_tree(name, directory_fd=directory.fd)
        self._tree.forget()
        directory = self._tree.resolve_directory(parent(target))
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(source), name, dir_fd=directory.fd)
        elif stat.S_ISREG(status.st_mode):
            _copy_content(source, name, directory.fd)
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=directory.fd)
        elif stat.S_ISFIFO(status.st_mode):
            os.mkfifo(name, stat.S_IMODE(status.st_mode), dir_fd=directory.fd)
        else:
            raise UsageError(f"--copy: {source}: not a file, directory, symlink or fifo")
        os.utime(name, self._times, dir_fd=directory.fd, follow_symlinks=False)


def _copy_content(source: str, name: str, directory_fd: int) -> None:
    source_fd = os.open(source, _OPEN_FILE)
    try:
        target_fd = os.open(name, _CREATE, 0o600, dir_fd=directory_fd)
        try:
            while os.sendfile(target_fd, source_fd, None, _COPY_BLOCK):
                pass
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)
