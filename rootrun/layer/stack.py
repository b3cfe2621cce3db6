"""The layers of an image above each other: which layer decides a path, and what it says.

The kernel merges the layers' trees for the script. This module answers for the
few paths of which the trees do not tell the truth: those that a layer's record
speaks of.
"""

import os
import stat
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path

from rootrun.dataclass import dataclass, replace
from rootrun.errors import UnsafeEntryError
from rootrun.layer.entry import DEVICE_TYPES, ROOT, Entry, EntryPath, EntryType, join, parent
from rootrun.layer.metadata import entry_of, kept_xattrs
from rootrun.layer.presence import DirectoryIndex
from rootrun.layer.reach import lstat_at, reach
from rootrun.layer.record import LayerRecord, Recorded
from rootrun.namedtuple import NamedTuple

_SYMLINK_LIMIT = 40  # as the kernel: path_resolution(7)
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedLayer:
    """A layer in the form that overlayfs takes as a lower directory, and its record."""

    tree: Path
    record: LayerRecord


class Content(NamedTuple):
    """Where a path's content is: below the tree of a layer, not always its own."""

    tree: Path
    path: EntryPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a stack has at a path. ``entry`` is the truth, as the image's tar has it."""

    position: int  # of the layer that decides the path, 0 is the bottom
    entry: Entry
    content: Content  # of no use for a device, which the disk does not hold


class LayerStack:
    """Unpacked layers, bottom first. Holds no descriptors; the trees must not change.

    ``recorded`` are the paths of which some layer's tree does not tell the truth,
    ``devices`` those of them where some layer has a device.
    """

    def __init__(self, layers: Iterable[UnpackedLayer] = ()) -> None:
        self.layers: list[UnpackedLayer] = []
        self.recorded: set[EntryPath] = set()
        self.devices: set[EntryPath] = set()
        self._index = DirectoryIndex()
        for layer in layers:
            self.add(layer)

    def add(self, layer: UnpackedLayer) -> None:
        """Lay ``layer`` on top."""
        record = layer.record
        self.layers.append(layer)
        self.recorded.update(record.entries, record.foreign_links)
        self.devices.update(record.where(lambda recorded: recorded.type in DEVICE_TYPES))
        self._index.add(os.fspath(layer.tree), record)

    def find(self, path: EntryPath, *, below: int | None = None) -> Found | None:
        """Return what is seen at ``path``, in the layers below ``below`` only; None for nothing.

        A directory that a layer only implies has the metadata that a layer below
        states, and 0755 0:0 where none does.
        """
        implied: Found | None = None
        for position, status in self._seen(path, below):
            record = self.layers[position].record
            found = self._found(position, path, status)
            if found is None:
                break
            if path not in record.implicit:
                if implied is None or found.entry.type is EntryType.DIRECTORY:
                    return found
                break
            implied = implied or found
            if path in record.opaque:
                break
        return implied

    def hides_below(self, path: EntryPath) -> bool:
        """Say whether some layer hides what a layer below the stack would have at ``path``.

        Asked for a path at which nothing is seen.
        """
        presence = self._index.presence(parent(path))
        return bool(presence.barriers) or any(True for _ in self._seen(path, None))

    def decides(self, position: int, path: EntryPath) -> bool:
        """Say whether no layer above ``position`` has or hides ``path``."""
        barriers = self._index.presence(parent(path)).barriers
        if barriers and barriers[-1] > position:
            return False
        return all(seen <= position for seen, _ in self._seen(path, None))

    def is_only_in(self, position: int, path: EntryPath) -> bool:
        """Say whether of all layers only the one at ``position`` has the directory ``path``."""
        return self._index.presence(path).holders == [position]

    def root(self) -> Entry:
        """Return the metadata of the root directory: the topmost that a layer states."""
        found = self.find(ROOT)
        default = Entry(path=ROOT, type=EntryType.DIRECTORY, mode=0o755)
        return found.entry if found else default

    def resolve(self, path: EntryPath, *, below: int | None = None) -> EntryPath:
        """Return where ``path`` leads when its symlinks are followed inside the root.

        What does not exist is taken for a directory. Raises UnsafeEntryError for a
        loop (ELOOP, path_resolution(7)). ``below`` is that of ``find``.
        """
        pending = path.split("/")[::-1] if path else []
        resolved: list[str] = []
        hops = 0
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                del resolved[-1:]
                continue
            here = join(EntryPath("/".join(resolved)), name)
            found = self.find(here, below=below)
            if found is None or found.entry.type is not EntryType.SYMLINK:
                resolved.append(name)
                continue
            hops += 1
            if hops > _SYMLINK_LIMIT:
                raise UnsafeEntryError(f"resolve in image: {path!r}: too many symlinks")
            if found.entry.link_target.startswith("/"):
                resolved.clear()
            pending.extend(found.entry.link_target.split("/")[::-1])
        return EntryPath("/".join(resolved))

    def _seen(self, path: EntryPath, below: int | None) -> Iterator[tuple[int, os.stat_result]]:
        """Yield the layers that have ``path`` on disk, the topmost first, down to what hides it."""
        limit = len(self.layers) if below is None else below
        presence = self._index.presence(parent(path))
        barriers = presence.barriers[: bisect_left(presence.barriers, limit)]
        lowest = barriers[-1] if barriers else 0
        for position in reversed(presence.holders):
            if position < lowest:
                break
            if position < limit:
                status = lstat_at(os.fspath(self.layers[position].tree), path)
                if status is not None:
                    yield position, status

    def _found(self, position: int, path: EntryPath, status: os.stat_result) -> Found | None:
        """Return what a layer has at a path that is on its disk, None if it is deleted there."""
        layer = self.layers[position]
        target = layer.record.foreign_links.get(path)
        if target is not None:
            return self._linked(position, path, target)
        recorded = layer.record.entries.get(path)
        content = Content(layer.tree, path)
        if not layer.record.is_whiteout(path, status):
            entry = _entry_on_disk(content, status, recorded)
        elif recorded is not None:
            entry = _with_record(Entry(path=path, type=recorded.type, mode=0), recorded)
        else:
            return None
        return Found(position=position, entry=entry, content=content)

    def _linked(self, position: int, path: EntryPath, target: EntryPath) -> Found | None:
        """Return what a hard link to a lower layer leads to, None if that is not there."""
        directory = self.resolve(parent(target), below=position)
        found = self.find(join(directory, target.rpartition("/")[2]), below=position)
        if found is None:
            return None
        return replace(found, position=position, entry=replace(found.entry, path=path))


def _entry_on_disk(content: Content, status: os.stat_result, recorded: Recorded | None) -> Entry:
    tree, path = content
    with reach(os.fspath(tree), path) as (directory_fd, name):
        is_symlink = stat.S_ISLNK(status.st_mode)
        target = os.readlink(name, dir_fd=directory_fd) if is_symlink else ""
        entry = entry_of(path, status, link_target=target)
        if recorded is not None:
            return _with_record(entry, recorded)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return entry
        descriptor = os.open(name, _OPEN, dir_fd=directory_fd)
        try:
            return replace(entry, xattrs=kept_xattrs(descriptor))
        finally:
            os.close(descriptor)


def _with_record(entry: Entry, recorded: Recorded) -> Entry:
    return replace(
        entry,
        mode=recorded.mode,
        uid=recorded.uid,
        gid=recorded.gid,
        rdev=recorded.rdev,
        xattrs=recorded.xattrs,
    )
