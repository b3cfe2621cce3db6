"""What a run changed: the upper directory of an overlay against the base below it.

The order and the rules are those of the layer format: depth first, in each
directory the whiteouts first, each by bytes of the name; a path is a change only
if what the layer can say of it is different from the base's.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from rootrun.layer.compare import BaseEntry, Comparison, DiffNotes, PathOnDisk
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType, entry_type, join, name_bytes
from rootrun.layer.metadata import entry_of, is_whiteout, kept_xattrs
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.whiteout import WHITEOUT_PREFIX

_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_OPAQUE = "user.overlay.opaque"
_WHITEOUT_MODE = 0o644


class Base(Protocol):
    """The merged tree below the upper directory, with what the disk cannot hold of it."""

    def root(self) -> BaseEntry:
        """Return the root directory."""

    def lookup(self, path: EntryPath, *, directory_fd: int) -> BaseEntry | None:
        """Return what the base has at ``path``; ``directory_fd`` is its parent directory."""

    def names(self, path: EntryPath, *, directory_fd: int) -> list[str]:
        """Return the names in the directory ``path``, open as ``directory_fd``."""


class Change(NamedTuple):
    """One entry of a layer; the content of a regular file is ``name`` in ``directory_fd``.

    The descriptor is valid until the next change is asked for.
    """

    entry: Entry
    directory_fd: int = -1
    name: str = ""


@dataclass(slots=True)
class _Directory:
    """A directory of the upper on the way down; ``base_fd`` is -1 where the base has none.

    ``own`` is its entry, as the base has it, while nothing was emitted for it.
    ``merged`` says that the base's children are seen through it.
    """

    path: EntryPath
    fd: int
    base_fd: int
    merged: bool
    own: Entry | None = None
    children: list[str] = field(default_factory=list)  # yet to visit, last first

    def close(self) -> None:
        os.close(self.fd)
        if self.base_fd >= 0:
            os.close(self.base_fd)


def diff_upper(
    upper_fd: int, *, base_fd: int, base: Base, policy: LayerPolicy, notes: DiffNotes
) -> Iterator[Change]:
    """Yield the changes that the tree at ``upper_fd`` makes to the tree at ``base_fd``.

    Costs what the upper holds, whatever the size of the base. Follows no
    symlink. The caller keeps both descriptors; what the layer cannot hold is
    added to ``notes``.
    """
    walk = _Walk(base=base, policy=policy, notes=notes)
    yield from walk.run(os.dup(upper_fd), os.dup(base_fd))


class _Walk:
    """One pass over an upper directory, with a stack of its own: trees are deeper than Python's."""

    def __init__(self, *, base: Base, policy: LayerPolicy, notes: DiffNotes) -> None:
        self._base = base
        self._policy = policy
        self._notes = notes
        self._compare = Comparison(policy, notes)
        self._stack: list[_Directory] = []

    def run(self, upper_fd: int, base_fd: int) -> Iterator[Change]:
        root = _Directory(ROOT, upper_fd, base_fd, merged=not _is_opaque(upper_fd))
        self._stack.append(root)
        try:
            status = os.fstat(upper_fd)
            entry = entry_of(ROOT, status, xattrs=kept_xattrs(upper_fd))
            changed = self._compare.changed_metadata(
                entry, status, self._base.root(), base_fd=base_fd
            )
            if changed is not None:
                yield Change(changed)
            yield from self._list(root)
            while self._stack:
                here = self._stack[-1]
                if here.children:
                    yield from self._visit(here, here.children.pop())
                else:
                    self._stack.pop().close()
        finally:
            for directory in self._stack:
                directory.close()

    def _list(self, here: _Directory) -> Iterator[Change]:
        """Emit the whiteouts of ``here`` and keep its other names for the visit."""
        with os.scandir(here.fd) as scan:
            names = {child.name for child in scan}
        marked = {name for name in names if is_whiteout(os.lstat(name, dir_fd=here.fd))}
        here.children = sorted(names - marked, key=name_bytes, reverse=True)
        for name in sorted(self._deleted(here, marked), key=name_bytes):
            path = join(here.path, WHITEOUT_PREFIX + name)
            yield from self._ancestors()
            yield Change(
                Entry(
                    path=path,
                    type=EntryType.FILE,
                    mode=_WHITEOUT_MODE,
                    mtime_s=self._policy.mtime_s,
                )
            )

    def _deleted(self, here: _Directory, marked: set[str]) -> set[str]:
        """Return the base's names that are gone from ``here``."""
        if here.base_fd < 0:
            return set()
        if not here.merged:
            gone = set(self._base.names(here.path, directory_fd=here.base_fd))
            return gone.difference(here.children)
        # A marker may stand for a file that only a mount point's layer had.
        return {
            name
            for name in marked
            if self._base.lookup(join(here.path, name), directory_fd=here.base_fd)
        }

    def _visit(self, here: _Directory, name: str) -> Iterator[Change]:
        path = join(here.path, name)
        status = os.lstat(name, dir_fd=here.fd)
        if name.startswith(WHITEOUT_PREFIX):
            self._notes.unspeakable.append(path)
            return
        if entry_type(status.st_mode) is None:
            self._notes.sockets.append(path)
            return
        below = self._base.lookup(path, directory_fd=here.base_fd) if here.base_fd >= 0 else None
        place = PathOnDisk(path, here.fd, here.base_fd, name, status)
        if stat.S_ISDIR(status.st_mode):
            yield from self._enter(here, place, below)
            return
        changed = self._compare.changed_file(place, below)
        if changed is not None:
            yield from self._ancestors()
            yield Change(changed, here.fd, name)

    def _enter(
        self, here: _Directory, place: PathOnDisk, below: BaseEntry | None
    ) -> Iterator[Change]:
        fd = os.open(place.name, _OPEN_DIRECTORY, dir_fd=here.fd)
        directory = _Directory(place.path, fd, -1, merged=False)
        self._stack.append(directory)
        entry = entry_of(place.path, place.status, xattrs=kept_xattrs(fd))
        if below is None or below.entry.type is not EntryType.DIRECTORY:
            changed: Entry | None = self._compare.rewritten(entry)
        else:
            directory.base_fd = os.open(place.name, _OPEN_DIRECTORY, dir_fd=here.base_fd)
            directory.merged = here.merged and not _is_opaque(fd)
            changed = self._compare.changed_metadata(
                entry, place.status, below, base_fd=directory.base_fd
            )
            if changed is None:
                directory.own = replace(below.entry, mtime_s=self._policy.mtime_s)
        if changed is not None:
            yield from self._ancestors()
            yield Change(changed)
        yield from self._list(directory)

    def _ancestors(self) -> Iterator[Change]:
        """Emit the unchanged directories above a change, once, as the base has them."""
        for directory in self._stack:
            if directory.own is not None:
                yield Change(directory.own)
                directory.own = None


def _is_opaque(descriptor: int) -> bool:
    # listxattr: a Nix sandbox refuses getxattr.
    return _OPAQUE in os.listxattr(descriptor)
