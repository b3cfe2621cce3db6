"""Small layers that rootrun lays beside the image's, for what the cache cannot hold.

Set-id bits are never set in the cache; a layer that only implies a directory
would hide the metadata that a layer below states; a hard link may lead to a
lower layer; mount points must exist. Each is put right in a tree of this run,
below the private scratch directory.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from rootrun.errors import LayerError
from rootrun.layer.attributes import KEEP, set_xattrs
from rootrun.layer.content import copy_content
from rootrun.layer.entry import (
    DEVICE_TYPES,
    ROOT,
    SET_ID_BITS,
    Entry,
    EntryPath,
    EntryType,
    ancestors,
    parent,
)
from rootrun.layer.reach import reach
from rootrun.layer.stack import Content, Found, LayerStack

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ExtraLayer:
    """A tree to lay over or under the layers of ``stack``, made at ``tree`` as it is filled.

    Directories that the image has are made with the image's metadata, so that
    laying this above it changes nothing. Call ``finish`` when all is in.
    """

    def __init__(self, tree: Path, stack: LayerStack) -> None:
        self.tree = tree
        self._top = os.fspath(tree)
        self._stack = stack
        self._made: dict[EntryPath, Entry] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was put in."""
        return not self._made

    def add_directory(self, path: EntryPath) -> None:
        """Make ``path`` and the directories above it."""
        for directory in (ROOT, *ancestors(path), path):
            if directory not in self._made:
                with reach(self._top, directory) as (directory_fd, name):
                    os.mkdir(name, 0o700, dir_fd=directory_fd)
                self._made[directory] = self._metadata_of(directory)

    def add_empty_file(self, path: EntryPath) -> None:
        """Make an empty file, for a file to be mounted on it; it may have been made before."""
        self.add_directory(parent(path))
        with reach(self._top, path) as (directory_fd, name):
            os.close(os.open(name, _CREATE & ~os.O_EXCL, 0o644, dir_fd=directory_fd))

    def add_copy(self, found: Found) -> None:
        """Make what the stack has at a path, a file or a symlink, with its true metadata."""
        entry = found.entry
        self.add_directory(parent(entry.path))
        with reach(self._top, entry.path) as (directory_fd, name):
            if entry.type is EntryType.SYMLINK:
                os.symlink(entry.link_target, name, dir_fd=directory_fd)
            elif entry.type is EntryType.FILE:
                _copy_file(found.content, name, directory_fd)
            else:
                raise LayerError(f"link in image: {entry.path!r}: leads to what is no file")
            _apply_metadata(name, directory_fd, entry)

    def add_stand_in(self, path: EntryPath) -> None:
        """If the image has a device at ``path``, make an empty file with its metadata."""
        device = self._stack.find(path)
        if device is not None and device.entry.type in DEVICE_TYPES:
            self.add_empty_file(path)
            with reach(self._top, path) as (directory_fd, name):
                _apply_metadata(name, directory_fd, device.entry)

    def finish(self) -> None:
        """Give the directories their metadata, now that nothing is made in them any more."""
        for path in sorted(self._made, reverse=True):
            with reach(self._top, path) as (directory_fd, name):
                _apply_metadata(name, directory_fd, self._made[path])

    def _metadata_of(self, directory: EntryPath) -> Entry:
        if directory == ROOT:
            return self._stack.root()
        found = self._stack.find(directory)
        if found is None or found.entry.type is not EntryType.DIRECTORY:
            return Entry(path=directory, type=EntryType.DIRECTORY, mode=0o755, mtime_s=1)
        return found.entry


def put_right(stack: LayerStack, tree: Path, *, stand_ins: Iterable[EntryPath] = ()) -> ExtraLayer:
    """Make the layer to lay on ``stack`` that shows what its trees do not: see the module.

    Where the image has a device at one of ``stand_ins``, an empty file stands for it.
    """
    extra = ExtraLayer(tree, stack)
    for path in sorted(stand_ins):
        extra.add_stand_in(path)
    if stack.root().xattrs:
        extra.add_directory(ROOT)
    _add_recorded(extra, stack)
    extra.finish()
    return extra


def _add_recorded(extra: ExtraLayer, stack: LayerStack) -> None:
    for position, layer in enumerate(stack.layers):
        alone: set[EntryPath] = set()  # and all below: no need to ask for each of a deep path
        for path in sorted(layer.record.implicit):
            if parent(path) in alone or stack.is_only_in(position, path):
                alone.add(path)
            elif path and _states_metadata(stack, path):
                extra.add_directory(path)
        for path in sorted(layer.record.set_ids):
            found = stack.find(path)
            if found is not None and found.position == position:
                extra.add_copy(found)
        for path, target in sorted(layer.record.foreign_links.items()):
            if stack.decides(position, path):
                found = stack.find(path)
                if found is None:
                    raise LayerError(
                        f"link in image: {path!r}: its target is in no layer: {target!r}"
                    )
                extra.add_copy(found)


def give_root_metadata(directory: Path, stack: LayerStack) -> None:
    """Give ``directory``, the root of an upper, the metadata of the image's root."""
    _apply_metadata(os.fspath(directory), None, stack.root())


def _states_metadata(stack: LayerStack, path: EntryPath) -> bool:
    found = stack.find(path)
    return (
        found is not None
        and found.entry.type is EntryType.DIRECTORY
        and path not in stack.layers[found.position].record.implicit
    )


def _copy_file(content: Content, name: str, directory_fd: int | None) -> None:
    with reach(os.fspath(content.tree), content.path) as (source_directory_fd, source):
        source_fd = os.open(source, _OPEN_FILE, dir_fd=source_directory_fd)
    try:
        copy_content(source_fd, name, directory_fd=directory_fd)
    finally:
        os.close(source_fd)


def _apply_metadata(name: str, directory_fd: int | None, entry: Entry) -> None:
    _give_owner(name, directory_fd, entry)
    if entry.type is not EntryType.SYMLINK:
        descriptor = os.open(name, _OPEN_FILE, dir_fd=directory_fd)
        try:
            _give_mode(descriptor, entry.mode)  # after chown(2), which clears the set-id bits
            set_xattrs(descriptor, entry.xattrs)
        finally:
            os.close(descriptor)
    times = (entry.mtime_s, entry.mtime_s)
    os.utime(name, times, dir_fd=directory_fd, follow_symlinks=False)


def _give_owner(name: str, directory_fd: int | None, entry: Entry) -> None:
    """Give a file its owner, or the half of it that the id map has, as the cache does."""
    for uid, gid in ((entry.uid, entry.gid), (entry.uid, KEEP), (KEEP, entry.gid)):
        try:
            os.chown(name, uid, gid, dir_fd=directory_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EPERM):
                raise
        else:
            return


def _give_mode(descriptor: int, mode: int) -> None:
    try:
        os.fchmod(descriptor, mode)
    except PermissionError:  # a Nix build forbids set-id bits by a seccomp filter
        os.fchmod(descriptor, mode & ~SET_ID_BITS)
