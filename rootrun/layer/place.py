"""Where the entries of a layer go while it is unpacked, and what is there before them."""

import os
import stat
from collections.abc import Callable, Mapping
from types import TracebackType

from rootrun.annotation import TypeVar
from rootrun.errors import LayerError
from rootrun.layer.attributes import Owners, clear_inheritance, set_xattrs
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType, join, parent
from rootrun.layer.ledger import IMPLIED_MODE, Ledger, visit
from rootrun.layer.metadata import OPAQUE_XATTR
from rootrun.layer.names import check_length
from rootrun.layer.record import Recorded
from rootrun.layer.removal import remove_tree
from rootrun.layer.tree import Directory, Tree
from rootrun.layer.walk import Visited, walk_tree
from rootrun.namedtuple import NamedTuple

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
UNFINISHED_MODE = 0o700
"""The mode of a directory until all is in it."""

_IMPLIED = Entry(path=ROOT, type=EntryType.DIRECTORY, mode=IMPLIED_MODE)
_IMPLIED_RECORD = Recorded(EntryType.DIRECTORY, IMPLIED_MODE, 0, 0)
_Made = TypeVar("_Made")


class Place(NamedTuple):
    """A name in an open directory; ``path`` is free of symlinks."""

    directory_fd: int
    name: str
    path: EntryPath


class Ground:
    """The tree that a layer is unpacked into, together with the layer's ledger.

    A context manager; ``tree_fd`` stays the caller's.
    """

    def __init__(
        self,
        tree_fd: int,
        *,
        redirects: Mapping[EntryPath, EntryPath],
        ledger: Ledger,
        owners: Owners,
    ) -> None:
        self._tree = Tree(tree_fd, redirects=redirects, make=self._imply)
        self._ledger = ledger
        self._owners = owners

    def __enter__(self) -> "Ground":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tree.forget()

    def prepare_root(self, tree_fd: int) -> None:
        """Make the root of the tree what it is if the layer has no entry for it."""
        clear_inheritance(tree_fd)
        self._ledger.imply_directory(ROOT)
        if not self._owners.give(tree_fd, _IMPLIED):
            self._ledger.record(ROOT, _IMPLIED_RECORD)

    def place_of(self, path: EntryPath) -> Place:
        """Return where the entry ``path`` goes; its directory is made if it is missing."""
        above, _, name = path.rpartition("/")
        fd, real_above = self._tree.resolve_directory(EntryPath(above))
        if real_above == above:
            return tuple.__new__(Place, (fd, name, path))  # in half the time
        real = join(real_above, name)
        check_length(real)
        return Place(fd, name, real)

    def adopt(self, directory: Directory) -> None:
        """Take over the descriptor of a directory that an entry has made: more go into it."""
        self._tree.adopt(directory)

    def directory_of(self, path: EntryPath) -> Directory:
        """Return the directory that ``path`` leads to, made if it is missing."""
        return self._tree.resolve_directory(path)

    def find(self, path: EntryPath) -> Visited | None:
        """Return what this layer has at ``path``, whose last component is not followed."""
        directory = self._tree.find_directory(parent(path))
        if directory is None:
            return None
        name = path.rpartition("/")[2]
        return visit(join(directory.path, name), directory.fd, name)

    def fresh(self, place: Place, make: Callable[[Place], _Made]) -> tuple[Place, _Made]:
        """Return what ``make`` makes at ``place``, where nothing is left of an earlier entry.

        The place comes with it: its descriptor is another one if much had to go.
        """
        try:
            return place, make(place)
        except FileExistsError:
            place = self.clear(place)
            return place, make(place)

    def clear(self, place: Place) -> Place:
        """Remove what is at ``place``, and return the place with a descriptor that is good."""
        visited = visit(place.path, place.directory_fd, place.name)
        if visited is None:
            return place
        self._owners.forget_new()
        kind = stat.S_IFMT(visited.status.st_mode)
        if kind == stat.S_IFDIR:
            self._forget_below(place)
        self._ledger.forget(visited)
        remove_tree(place.name, directory_fd=place.directory_fd)
        if kind in (stat.S_IFDIR, stat.S_IFLNK):
            self._tree.forget()
            return self.place_of(place.path)
        return place

    def mark_opaque(self, directory: Directory) -> None:
        """Make a directory hide what lower layers have in it (overlayfs.rst, Whiteouts)."""
        if directory.path not in self._ledger.opaque:
            self._ledger.opaque.add(directory.path)
            self._ledger.with_xattrs.add(directory.path)
            if not set_xattrs(directory.fd, {OPAQUE_XATTR: b"y"}):
                self._ledger.unmarked.add(directory.path)

    def _forget_below(self, place: Place) -> None:
        fd = os.open(place.name, OPEN_DIRECTORY, dir_fd=place.directory_fd)
        try:
            for visited in walk_tree(fd, place.path):
                self._ledger.forget(visited)
        finally:
            os.close(fd)

    def _imply(self, directory: Directory, name: str) -> None:
        """Make a directory that only the path of another entry asks for."""
        path = join(directory.path, name)
        check_length(path)
        visited = visit(path, directory.fd, name)
        if visited is not None:
            if not self._ledger.is_deletion(visited):
                raise LayerError(f"unpack layer: {path!r}: is a parent and not a directory")
            self._ledger.forget(visited)
            os.unlink(name, dir_fd=directory.fd)
        os.mkdir(name, UNFINISHED_MODE, dir_fd=directory.fd)
        self._ledger.imply_directory(path)
        if not self._owners.give(name, _IMPLIED, directory_fd=directory.fd):
            self._ledger.record(path, _IMPLIED_RECORD)
        if visited is not None:
            self._mark_opaque_at(path, directory.fd, name)

    def _mark_opaque_at(self, path: EntryPath, directory_fd: int, name: str) -> None:
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=directory_fd)
        try:
            self.mark_opaque(Directory(fd, path))
        finally:
            os.close(fd)
