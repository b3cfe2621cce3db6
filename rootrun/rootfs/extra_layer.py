"""Small layers that rootrun lays beside the image's, for what the cache cannot hold.

Set-id bits are never set in the cache; a layer that only implies a directory
would hide the metadata that a layer below states; a hard link may lead to a
lower layer; mount points must exist. Each is put right in a tree of this run,
below the private scratch directory.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from rootrun.errors import LayerError
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType, ancestors, parent
from rootrun.layer.stack import Found, LayerStack

_COPY_BLOCK = 1 << 24
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ExtraLayer:
    """A tree to lay over or under the layers of ``stack``, made at ``tree`` as it is filled.

    Directories that the image has are made with the image's metadata, so that
    laying this above it changes nothing. Call ``finish`` when all is in.
    """

    def __init__(self, tree: Path, stack: LayerStack) -> None:
        self.tree = tree
        self._stack = stack
        self._made: dict[EntryPath, Entry] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was put in."""
        return not self._made

    def add_directory(self, path: EntryPath) -> None:
        """Make ``path`` and the directories above it."""
        for directory in (ROOT, *ancestors(path), path):
            if directory in self._made:
                continue
            self._place(directory).mkdir(mode=0o700)
            self._made[directory] = self._metadata_of(directory)

    def add_empty_file(self, path: EntryPath) -> None:
        """Make an empty file, for a file to be mounted on it."""
        self.add_directory(parent(path))
        self._place(path).touch(mode=0o644)

    def add_copy(self, path: EntryPath, source: Found, *, content: Path) -> None:
        """Make ``path`` a file with the metadata of ``source`` and the content of ``content``."""
        self.add_directory(parent(path))
        place = self._place(path)
        if source.entry.type is EntryType.SYMLINK:
            os.symlink(source.entry.link_target, place)
        elif source.entry.type is EntryType.FILE:
            _copy_file(content, place)
        else:
            raise LayerError(f"link in image: {path!r}: leads to what is no file")
        _apply_metadata(place, source.entry)

    def finish(self) -> None:
        """Give the directories their metadata, now that nothing is made in them any more."""
        for path in sorted(self._made, reverse=True):
            _apply_metadata(self._place(path), self._made[path])

    def _metadata_of(self, directory: EntryPath) -> Entry:
        if directory == ROOT:
            return self._stack.root()
        found = self._stack.find(directory)
        if found is None or found.entry.type is not EntryType.DIRECTORY:
            return Entry(path=directory, type=EntryType.DIRECTORY, mode=0o755, mtime_s=1)
        return found.entry

    def _place(self, path: EntryPath) -> Path:
        return self.tree / path if path else self.tree


def put_right(stack: LayerStack, tree: Path) -> ExtraLayer:
    """Make the layer to lay on ``stack`` that shows what its trees do not: see the module."""
    extra = ExtraLayer(tree, stack)
    if stack.root().xattrs:
        extra.add_directory(ROOT)
    for position, layer in enumerate(stack.layers):
        for path in sorted(layer.record.implicit):
            if path and _states_metadata(stack, path):
                extra.add_directory(path)
        for path in sorted(layer.record.set_ids):
            found = stack.find(path)
            if found is not None and found.position == position:
                extra.add_copy(path, found, content=layer.tree / path)
        for path, target in sorted(layer.record.foreign_links.items()):
            if stack.decides(position, path):
                _add_link(extra, stack.below(position + 1), path=path, target=target)
    extra.finish()
    return extra


def give_root_metadata(directory: Path, stack: LayerStack) -> None:
    """Give ``directory``, the root of an upper, the metadata of the image's root."""
    _apply_metadata(directory, stack.root())


def _states_metadata(stack: LayerStack, path: EntryPath) -> bool:
    found = stack.find(path)
    return (
        found is not None
        and found.entry.type is EntryType.DIRECTORY
        and path not in stack.layers[found.position].record.implicit
    )


def _add_link(extra: ExtraLayer, stack: LayerStack, *, path: EntryPath, target: EntryPath) -> None:
    found = stack.find(target)
    if found is None:
        raise LayerError(f"link in image: {path!r}: its target is in no layer: {target!r}")
    extra.add_copy(path, found, content=stack.layers[found.position].tree / target)


def _copy_file(source: Path, place: Path) -> None:
    source_fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        place_fd = os.open(place, _CREATE, 0o600)
        try:
            while os.sendfile(place_fd, source_fd, None, _COPY_BLOCK):
                pass
        finally:
            os.close(place_fd)
    finally:
        os.close(source_fd)


def _apply_metadata(place: Path, entry: Entry) -> None:
    # An owner that the id map lacks (EINVAL) stays with the record alone.
    with suppress(OSError):
        os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
    if entry.type is not EntryType.SYMLINK:
        # After chown(2), which clears the set-id bits.
        os.chmod(place, stat.S_IMODE(entry.mode))
        for name, value in entry.xattrs.items():
            with suppress(OSError):
                os.setxattr(place, name, value, follow_symlinks=False)
    os.utime(place, (entry.mtime_s, entry.mtime_s), follow_symlinks=False)
