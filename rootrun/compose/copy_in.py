"""Copying files of the host into the root, before the script runs."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from rootrun.errors import LayerError, UsageError
from rootrun.layer.content import copy_content
from rootrun.layer.entry import EntryPath, join, name_bytes, parent
from rootrun.layer.removal import remove_tree
from rootrun.layer.tree import Tree
from rootrun.request import CopyIn

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


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
    except LayerError as error:
        raise UsageError(f"--copy: {copy.destination}: in the image: {error}") from error
    except OSError as error:
        raise UsageError(f"--copy: {error.filename or root}: {error.strerror}") from error
    finally:
        os.close(root_fd)


def _copy(copy: CopyIn, tree: Tree, *, mtime_s: int) -> None:
    destination = EntryPath(copy.destination.strip("/"))
    try:
        status = os.stat(copy.source)  # the source itself may be a symlink
    except OSError as error:
        raise UsageError(f"--copy: {os.fspath(copy.source)!r}: {error.strerror}") from error
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
        waiting = [(source, target)]
        made: list[tuple[str, EntryPath]] = []
        while waiting:
            directory, place = waiting.pop()
            if self._tree.find_directory(place) is None:
                made.append((directory, place))
            self._tree.resolve_directory(place)
            waiting.extend(reversed(self._copy_files(directory, place)))
        for directory, place in reversed(made):  # last: a copy may be unwritable, and has its time
            fd = self._tree.resolve_directory(place).fd
            os.fchmod(fd, stat.S_IMODE(os.stat(directory).st_mode))
            os.utime(fd, self._times)

    def _copy_files(self, source: str, target: EntryPath) -> list[tuple[str, EntryPath]]:
        """Copy what is no directory, and return the directories with their targets."""
        with os.scandir(source) as scan:
            children = sorted(scan, key=lambda child: name_bytes(child.name))
        directories = []
        for child in children:
            path = join(target, child.name)
            if child.is_dir(follow_symlinks=False):
                directories.append((child.path, path))
            else:
                self.copy_one(child.path, path)
        return directories

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
            os.mkfifo(name, dir_fd=directory.fd)
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=directory.fd)
        else:
            raise UsageError(f"--copy: {source!r}: not a file, directory, symlink or fifo")
        os.utime(name, self._times, dir_fd=directory.fd, follow_symlinks=False)


def _copy_content(source: str, name: str, directory_fd: int) -> None:
    source_fd = os.open(source, _OPEN_FILE)
    try:
        copy_content(source_fd, name, directory_fd=directory_fd)
    finally:
        os.close(source_fd)
