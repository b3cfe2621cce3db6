"""Hard links while a layer is unpacked: inside the layer, out of it, and too many."""

import errno
import os
import stat

from rootrun.errors import LayerError
from rootrun.layer.content import fill
from rootrun.layer.entry import ROOT, Entry, EntryPath
from rootrun.layer.ledger import Ledger, visit
from rootrun.layer.metadata import kept_xattrs
from rootrun.layer.nodes import Nodes
from rootrun.layer.place import Ground, Place
from rootrun.layer.walk import Visited

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class HardLinks:
    """Makes hard links on ``ground`` and enters them into ``ledger``."""

    def __init__(self, ground: Ground, ledger: Ledger, nodes: Nodes) -> None:
        self._ground = ground
        self._ledger = ledger
        self._nodes = nodes

    def link(self, place: Place, entry: Entry) -> None:
        """Make ``place`` another name of the entry's target, neither of them followed.

        A target that this layer does not hold is left to the stack of layers.
        Raises LayerError for a directory and for a target that is gone.
        """
        target = EntryPath(entry.link_target)
        source = None if target == ROOT else self._ground.find(target)
        if target == ROOT or (source and stat.S_ISDIR(source.status.st_mode)):
            raise LayerError(f"unpack layer: {entry.path!r}: is a hard link to a directory")
        if source is None:
            self._link_foreign(place, target)
        elif source.path in self._ledger.foreign_links:
            self._link_foreign(place, self._ledger.foreign_links[source.path])
        elif self._ledger.is_deletion(source):
            raise LayerError(f"unpack layer: {entry.path!r}: its target is deleted: {target!r}")
        elif source.path != place.path:  # to itself: nothing to do, as GNU tar has it
            self._link_known(place, source, target)

    def _link_foreign(self, place: Place, target: EntryPath) -> None:
        if place.path == target:
            raise LayerError(f"unpack layer: {target!r}: is a hard link to itself")
        self._nodes.placeholder(place)
        self._ledger.foreign_links[place.path] = target

    def _link_known(self, place: Place, source: Visited, target: EntryPath) -> None:
        try:
            _join(place, source)
        except FileExistsError:
            place = self._ground.clear(place)
            # What was in the way is removed now, and the target may have been in it.
            found = self._ground.find(target)
            if found is None:
                where = f"unpack layer: {place.path!r}"
                raise LayerError(f"{where}: takes the place of its own target") from None
            source = found
            _join(place, source)
        recorded = self._ledger.entries.get(source.path)
        if recorded is not None:
            self._ledger.record(place.path, recorded)
        if source.path in self._ledger.unmarked:  # the placeholder of a device
            self._ledger.unmarked.add(place.path)
        made = visit(place.path, place.directory_fd, place.name)
        if made is not None:
            self._ledger.add_visited(made)


def _join(place: Place, source: Visited) -> None:
    try:
        os.link(
            source.name,
            place.name,
            src_dir_fd=source.directory_fd,
            dst_dir_fd=place.directory_fd,
            follow_symlinks=False,
        )
    except OSError as error:
        # 65000 names are the most for an inode of ext4 (link(2)): from there on, copies.
        if error.errno != errno.EMLINK or not stat.S_ISREG(source.status.st_mode):
            raise
        _copy(source, place)


def _copy(source: Visited, place: Place) -> None:
    """Copy a regular file together with its owner, mode, time and attributes."""
    status = source.status
    source_fd = os.open(source.name, _READ, dir_fd=source.directory_fd)
    try:
        fd = os.open(place.name, _CREATE, 0o600, dir_fd=place.directory_fd)
        try:
            fill(fd, source_fd)
            os.chown(fd, status.st_uid, status.st_gid)
            for name, value in kept_xattrs(source_fd).items():
                os.setxattr(fd, name, value)
            os.fchmod(fd, stat.S_IMODE(status.st_mode))
            os.utime(fd, ns=(status.st_mtime_ns, status.st_mtime_ns))
        finally:
            os.close(fd)
    finally:
        os.close(source_fd)
