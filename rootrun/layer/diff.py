"""What a run changed: the tree that it left against the base below it.

The tree is the upper directory of an overlay, which holds what was changed, or a copy of the whole
base, of which a scan has found what may have changed (``Upper``).

The order and the rules are those of the layer format: depth first, in each
directory the whiteouts first, each by bytes of the name; a path is a change only
if what the layer can say of it is different from the base's.
"""

import os
import stat
from collections.abc import Iterator, Set

from rootrun.annotation import Protocol
from rootrun.dataclass import dataclass, field, replace
from rootrun.layer.compare import (
    BaseEntry,
    Comparison,
    Copied,
    DiffNotes,
    Ownership,
    PathOnDisk,
)
from rootrun.layer.cursor import Cursor
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType, entry_type, join
from rootrun.layer.metadata import OPAQUE_XATTR, entry_of, is_whiteout, kept_xattrs
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.whiteout import WHITEOUT_PREFIX, whiteout_entry
from rootrun.namedtuple import NamedTuple


class Base(Protocol):
    """The merged tree below the upper directory, with what the disk cannot hold of it."""

    def root(self) -> BaseEntry:
        """Return the root directory."""

    def lookup(self, path: EntryPath, *, directory_fd: int) -> BaseEntry | None:
        """Return what the base has at ``path``; ``directory_fd`` is its parent directory."""

    def names(self, path: EntryPath, *, directory_fd: int) -> list[str]:
        """Return the names in the directory ``path``, open as ``directory_fd``."""


class Upper(Protocol):
    """How the run's tree tells what is in it."""

    def listing(self, path: EntryPath, fd: int, /) -> tuple[dict[str, os.stat_result], set[str]]:
        """Return what to look at in the directory ``path``, open at ``fd``, and what is deleted.

        Of a directory that shows nothing of the base, all that is in it.
        """

    def is_merged(self, path: EntryPath, fd: int, /) -> bool:
        """Say whether a directory shows the base's of that path, given that its parent does."""


class Below(Protocol):
    """The base's directory that the walk is in; ``layer.cursor.Cursor`` is one."""

    fd: int

    def enter(self, name: str) -> None:
        """Move down."""

    def leave(self) -> None:
        """Move up."""


class OverlayUpper:
    """The upper directory of an overlay, with the marks of the kernel."""

    def listing(self, _path: EntryPath, fd: int, /) -> tuple[dict[str, os.stat_result], set[str]]:
        """Return all that is there, without the whiteouts, and their names."""
        statuses = {name: os.lstat(name, dir_fd=fd) for name in os.listdir(fd)}
        deleted = {name for name, status in statuses.items() if is_whiteout(status)}
        return {name: statuses[name] for name in statuses.keys() - deleted}, deleted

    def is_merged(self, _path: EntryPath, fd: int, /) -> bool:
        """Look for the mark of an opaque directory."""
        return OPAQUE_XATTR not in os.listxattr(fd)  # a Nix sandbox refuses getxattr


class Change(NamedTuple):
    """One entry of a layer; the content of a regular file is ``name`` in ``directory_fd``.

    The descriptor is valid until the next change is asked for. ``is_ancestor``: a directory that is
    as in the base, there for a change below it.
    """

    entry: Entry
    directory_fd: int = -1
    name: str = ""
    is_ancestor: bool = False


@dataclass(slots=True)
class _Directory:
    """A directory of the upper on the way down.

    ``own`` is its entry, as the base has it, while nothing was emitted for it.
    ``merged`` says that the base's children are seen through it.
    """

    path: EntryPath
    in_base: bool
    merged: bool
    own: Entry | None = None
    children: list[str] = field(default_factory=list)  # yet to visit, last first
    whiteouts: set[str] = field(default_factory=set)  # those of them that are deletions


def diff_upper(
    upper_fd: int,
    *,
    base_fd: int,
    base: Base,
    policy: LayerPolicy,
    notes: DiffNotes,
    ownership: Ownership | None = None,
) -> Iterator[Change]:
    """Yield the changes that the tree at ``upper_fd`` makes to the tree at ``base_fd``.

    Costs what the upper holds, whatever the size of the base. Follows no
    symlink. The caller keeps both descriptors; what the layer cannot hold is
    added to ``notes``. ``ownership`` knows what the upper could not hold.
    """
    rules = Rules(policy, notes, ownership)
    with Cursor(base_fd) as below:
        yield from diff_tree(upper_fd, OverlayUpper(), base=base, below=below, rules=rules)


class Rules(NamedTuple):
    """By which a path is a change: those of ``Comparison``."""

    policy: LayerPolicy
    notes: DiffNotes
    ownership: Ownership | None


def diff_tree(
    tree_fd: int, upper: Upper, *, base: Base, below: Below, rules: Rules
) -> Iterator[Change]:
    """Yield the changes that the tree at ``tree_fd`` makes to ``base``, as ``diff_upper`` does."""
    with Cursor(tree_fd) as here:
        yield from _Walk(here, upper, base=base, below=below, rules=rules).run()


class _Walk:
    """One pass over what a run left, with a stack of its own: trees are deeper than Python's.

    The base's cursor stays in the deepest directory on the way that the base has too.
    """

    def __init__(
        self,
        here: Cursor,
        upper: Upper,
        *,
        base: Base,
        below: Below,
        rules: Rules,
    ) -> None:
        self._here = here
        self._upper = upper
        self._below = below
        self._base = base
        self._policy, self._notes, _ = rules
        self._compare = Comparison(*rules)
        self._stack: list[_Directory] = []

    def run(self) -> Iterator[Change]:
        fd = self._here.fd
        root = _Directory(ROOT, in_base=True, merged=self._upper.is_merged(ROOT, fd))
        self._stack.append(root)
        status = os.fstat(fd)
        entry = entry_of(ROOT, status, xattrs=kept_xattrs(fd))
        below = self._base.root()
        with below.opened(".", directory_fd=self._below.fd) as base_fd:
            changed = self._compare.changed_metadata(
                entry,
                Copied(status, True),
                below,
                base_fd=base_fd,
                remembered=self._compare.remembered(fd, "", status),
            )
        if changed is not None:
            yield Change(changed)
        elif self._policy.shape.has_root:
            root.own = self._as_base(below, entry)
            yield from self._ancestors()
        self._list(root)
        while self._stack:
            here = self._stack[-1]
            if here.children:
                yield from self._visit(here, here.children.pop())
            else:
                self._leave()

    def _leave(self) -> None:
        here = self._stack.pop()
        if self._stack:
            self._here.leave()
            if here.in_base:
                self._below.leave()

    def _list(self, here: _Directory) -> None:
        """Keep what is in ``here``, and what is deleted there, for the visit."""
        statuses, marked = self._upper.listing(here.path, self._here.fd)
        unheld = {name for name, status in statuses.items() if entry_type(status.st_mode) is None}
        here.whiteouts = {
            WHITEOUT_PREFIX + n for n in self._deleted(here, statuses.keys(), marked, unheld)
        }
        here.children = self._policy.shape.ordered(here.whiteouts, statuses)[::-1]

    def _deleted(
        self, here: _Directory, shown: Set[str], marked: set[str], unheld: set[str]
    ) -> set[str]:
        """Return the base's names that are gone from ``here``, which shows ``shown``.

        A socket, which a layer cannot hold, is in ``unheld``: what it replaced is gone.
        """
        if not here.in_base:
            return set()
        fd = self._below.fd
        if not here.merged:
            gone = set(self._base.names(here.path, directory_fd=fd))
            return (gone - shown) | (gone & unheld)
        # A marker may stand for a file that only a mount point's layer had.
        return {
            name
            for name in marked | unheld
            if self._base.lookup(join(here.path, name), directory_fd=fd) is not None
        }

    def _visit(self, here: _Directory, name: str) -> Iterator[Change]:
        path = join(here.path, name)
        if name in here.whiteouts:
            here.whiteouts.remove(name)  # the next one of that name is the run's own file
            yield from self._ancestors()
            yield Change(whiteout_entry(path, mtime_s=self._policy.mtime_s))
            return
        status = os.lstat(name, dir_fd=self._here.fd)
        if name.startswith(WHITEOUT_PREFIX):
            self._notes.unspeakable.append(path)
            return
        if entry_type(status.st_mode) is None:
            self._notes.sockets.append(path)
            return
        base_fd = self._below.fd if here.in_base else -1
        below = self._base.lookup(path, directory_fd=base_fd) if here.in_base else None
        if stat.S_ISDIR(status.st_mode):
            yield from self._enter(here, name, status, below)
            return
        place = PathOnDisk(path, self._here.fd, base_fd, name, status)
        changed = self._compare.changed_file(place, below)
        if changed is not None:
            yield from self._ancestors()
            yield Change(changed, self._here.fd, name)

    def _enter(
        self, here: _Directory, name: str, status: os.stat_result, below: BaseEntry | None
    ) -> Iterator[Change]:
        self._here.enter(name)
        fd = self._here.fd
        directory = _Directory(join(here.path, name), in_base=False, merged=False)
        self._stack.append(directory)
        remembered = self._compare.remembered(fd, "", status)
        entry = remembered.on(entry_of(directory.path, status, xattrs=kept_xattrs(fd)))
        if below is None or below.entry.type is not EntryType.DIRECTORY:
            changed: Entry | None = self._compare.rewritten(entry)
        else:
            self._below.enter(name)
            directory.in_base = True
            directory.merged = here.merged and self._upper.is_merged(directory.path, fd)
            copied = Copied.of(status, below, xattrs=os.listxattr(fd))
            with below.opened(".", directory_fd=self._below.fd) as base_fd:
                changed = self._compare.changed_metadata(
                    entry, copied, below, base_fd=base_fd, remembered=remembered
                )
            if changed is None:
                directory.own = self._as_base(below, entry)
        if changed is not None:
            yield from self._ancestors()
            yield Change(changed)
        self._list(directory)

    def _as_base(self, below: BaseEntry, entry: Entry) -> Entry:
        """Return the entry of an unchanged directory, which the disk has as ``entry``."""
        xattrs = entry.xattrs if below.disk_xattrs else below.entry.xattrs
        mtime_s = self._policy.mtime_of(entry.mtime_s)
        return replace(below.entry, mtime_s=mtime_s, xattrs=xattrs)

    def _ancestors(self) -> Iterator[Change]:
        """Emit the unchanged directories above a change, once, as the base has them."""
        for directory in self._stack:
            if directory.own is not None:
                yield Change(directory.own, is_ancestor=True)
                directory.own = None
