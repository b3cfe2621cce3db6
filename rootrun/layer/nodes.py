"""Making the entries of a layer on disk, each in one place, and noting what the disk misses."""

import os
import stat
from collections.abc import Iterable, Mapping

from rootrun.layer.attributes import Owners, clear_xattrs, kept_of, set_xattrs
from rootrun.layer.checksum import held_of
from rootrun.layer.crc import crc32, crc32_zeros
from rootrun.layer.entry import ROOT, SET_ID_BITS, Entry, EntryPath, parent
from rootrun.layer.ledger import Ledger, visit
from rootrun.layer.metadata import ORIGIN_XATTR, make_whiteout
from rootrun.layer.place import OPEN_DIRECTORY, UNFINISHED_MODE, Ground, Place
from rootrun.layer.record import Recorded
from rootrun.layer.tar_reader import TarReader
from rootrun.layer.tree import Directory

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITABLE_MODE = 0o600  # setxattr(2) of user.* wants write permission, which the file may lack
_WHITEOUT = stat.S_IFCHR  # of device 0:0 and without permissions, as overlayfs makes its own
_NO_XATTRS: Mapping[str, bytes] = {}


class Nodes:
    """Makes entries on ``ground`` and enters them into ``ledger``."""

    def __init__(self, ground: Ground, ledger: Ledger, owners: Owners) -> None:
        self._ground = ground
        self._ledger = ledger
        self._owners = owners

    def file(self, place: Place, entry: Entry, reader: TarReader) -> None:
        """Make a regular file of the content that ``reader`` stands before."""
        xattrs = kept_of(entry) if entry.xattrs else _NO_XATTRS
        mode = entry.mode & ~SET_ID_BITS
        place, fd = self._new_file(place, _WRITABLE_MODE if xattrs else mode)
        directory_fd, _, path = place
        try:
            crc = _write(fd, entry, reader)
            # The owner before the capabilities, which chown(2) clears.
            is_true, held = self._owners.settle(fd, entry, path=path, directory_fd=directory_fd)
            if xattrs:
                is_true &= set_xattrs(fd, xattrs)
                os.fchmod(fd, mode)
                held = held_of(fd, os.fstat(fd))
            time_ns = entry.mtime_s * 1_000_000_000
            os.utime(fd, ns=(time_ns, time_ns))
        finally:
            os.close(fd)
        self._ledger.add_file(path, entry, mode=mode, content_crc=crc, held=held)
        if not is_true or mode != entry.mode:
            self._record(path, entry, mode=entry.mode, xattrs=xattrs)

    def _new_file(self, place: Place, mode: int) -> tuple[Place, int]:
        try:
            return place, os.open(place.name, _CREATE, mode, dir_fd=place.directory_fd)
        except FileExistsError:
            place = self._ground.clear(place)
            return place, os.open(place.name, _CREATE, mode, dir_fd=place.directory_fd)

    def directory(self, place: Place, entry: Entry) -> None:
        """Make a directory, or give the one that is there the attributes of ``entry``."""
        before = None
        try:
            os.mkdir(place.name, UNFINISHED_MODE, dir_fd=place.directory_fd)
        except FileExistsError:
            before = visit(place.path, place.directory_fd, place.name)
        is_replaced = before is not None and not stat.S_ISDIR(before.status.st_mode)
        if is_replaced:
            place = self._ground.clear(place)
            os.mkdir(place.name, UNFINISHED_MODE, dir_fd=place.directory_fd)
        fd = os.open(place.name, OPEN_DIRECTORY, dir_fd=place.directory_fd)
        directory = Directory(fd, place.path)
        try:
            self.adorn_directory(directory, entry)
            if is_replaced:  # what was here hides the directory of the layers below
                self._ground.mark_opaque(directory)
        except BaseException:
            os.close(fd)
            raise
        self._ground.adopt(directory)

    def adorn_directory(self, directory: Directory, entry: Entry) -> None:
        """Give a directory the owner and attributes of ``entry``; mode and time come at the end."""
        self._owners.forget_new()
        xattrs = kept_of(entry) if entry.xattrs else _NO_XATTRS
        if directory.path in self._ledger.directories or directory.path == ROOT:
            clear_xattrs(directory.fd)
            self._ledger.entries.pop(directory.path, None)
            is_true = self._owners.change(directory.fd, (entry.uid, entry.gid))
        else:
            is_true = self._owners.give(directory.fd, entry)
        if xattrs:
            is_true &= set_xattrs(directory.fd, xattrs)
            self._ledger.with_xattrs.add(directory.path)
        self._ledger.add_directory(directory.path, mode=entry.mode, mtime_s=entry.mtime_s)
        if not is_true:
            self._record(directory.path, entry, mode=entry.mode, xattrs=xattrs)

    def symlink(self, place: Place, entry: Entry) -> None:
        """Make a symlink; its target is verbatim, its mode means nothing (symlink(7))."""
        target = entry.link_target
        try:
            os.symlink(target, place.name, dir_fd=place.directory_fd)
        except FileExistsError:
            place = self._ground.clear(place)
            os.symlink(target, place.name, dir_fd=place.directory_fd)
        self._finish(place, entry, st_mode=stat.S_IFLNK, mode=0o777)

    def fifo(self, place: Place, entry: Entry) -> None:
        """Make a named pipe."""
        mode = entry.mode & ~SET_ID_BITS
        place, _ = self._ground.fresh(
            place, lambda at: os.mkfifo(at.name, mode, dir_fd=at.directory_fd)
        )
        self._finish(place, entry, st_mode=stat.S_IFIFO | mode, mode=entry.mode)

    def device(self, place: Place, entry: Entry) -> None:
        """Record a device; only a real root could make one, and none is wanted in a cache."""
        self.placeholder(place)
        self._record(place.path, entry, mode=entry.mode, xattrs=_without_user(entry))

    def placeholder(self, place: Place) -> None:
        """Make a whiteout in place of an entry that the disk cannot hold."""
        self._ground.fresh(place, self._make_whiteout)

    def whiteout(self, place: Place) -> None:
        """Hide what the layers below have; what this layer has there stays (layer.md)."""
        try:
            self._make_whiteout(place)
        except FileExistsError:
            visited = visit(place.path, place.directory_fd, place.name)
            if visited is not None and stat.S_ISDIR(visited.status.st_mode):
                self._ground.mark_opaque(self._ground.directory_of(place.path))

    def _make_whiteout(self, place: Place) -> None:
        if not make_whiteout(place.name, directory_fd=place.directory_fd):
            os.close(os.open(place.name, _CREATE, 0, dir_fd=place.directory_fd))
            os.utime(place.name, (0, 0), dir_fd=place.directory_fd)
            self._count(place)
            self._ledger.unmarked.add(place.path)
            return
        self._ledger.add_other(place.path, st_mode=_WHITEOUT)
        # Else readdir(3) shows the name where only one layer has the directory
        # (fs/overlayfs/inode.c, "non-merge dir that may have whiteouts").
        directory = parent(place.path)
        self._ledger.with_xattrs.add(directory)
        if not set_xattrs(place.directory_fd, {ORIGIN_XATTR: b""}):
            self._ledger.unmarked.add(directory)

    def _finish(self, place: Place, entry: Entry, *, st_mode: int, mode: int) -> None:
        directory_fd, name, path = place
        xattrs = _without_user(entry)
        is_true, held = self._owners.settle(name, entry, path=path, directory_fd=directory_fd)
        time_ns = entry.mtime_s * 1_000_000_000
        os.utime(name, ns=(time_ns, time_ns), dir_fd=directory_fd, follow_symlinks=False)
        self._ledger.add_special(path, entry, st_mode=st_mode, held=held)
        if not is_true or xattrs or mode & SET_ID_BITS:
            self._record(path, entry, mode=mode, xattrs=xattrs)

    def _count(self, place: Place) -> None:
        made = visit(place.path, place.directory_fd, place.name)
        if made is not None:
            self._ledger.add_visited(made)

    def _record(
        self, path: EntryPath, entry: Entry, *, mode: int, xattrs: Mapping[str, bytes]
    ) -> None:
        recorded = Recorded(entry.type, mode, entry.uid, entry.gid, entry.rdev, xattrs)
        self._ledger.record(path, recorded)


def _without_user(entry: Entry) -> Mapping[str, bytes]:
    # xattr(7): user.* can be on regular files and directories only.
    if not entry.xattrs:
        return _NO_XATTRS
    return {name: value for name, value in kept_of(entry).items() if not name.startswith("user.")}


def _write(fd: int, entry: Entry, reader: TarReader) -> int:
    """Write a file's content and return its CRC."""
    content = reader.whole()
    if content is None:
        return write_segments(fd, reader.segments(), entry.size_bytes)
    if not content:
        return 0
    written = os.write(fd, content)
    while written < len(content):
        written += os.write(fd, content[written:])
    return crc32(content)


def write_segments(fd: int, segments: Iterable[tuple[int, memoryview]], size_bytes: int) -> int:
    """Write a file's content and return its CRC."""
    crc = position = 0
    for offset, content in segments:
        if offset > position:
            os.lseek(fd, offset, os.SEEK_SET)
            crc = crc32_zeros(crc, offset - position)
        written = os.write(fd, content)
        while written < len(content):
            written += os.write(fd, content[written:])
        crc = crc32(content, crc)
        position = offset + len(content)
    if position < size_bytes:
        os.ftruncate(fd, size_bytes)
        crc = crc32_zeros(crc, size_bytes - position)
    return crc
