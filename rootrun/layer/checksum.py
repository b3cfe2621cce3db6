"""The checksum of an unpacked layer, by which damage in the cache is found.

A sum over all paths, so that it can be made in the order of the tar and checked
in the order of the disk. Owners and extended attributes look different under
another id map: it holds under the one in which the layer was unpacked.
"""

import os
import stat
from zlib import crc32

from rootrun.layer.crc import crc_of_file
from rootrun.layer.entry import ROOT, EntryPath, is_overlay_xattr, name_bytes
from rootrun.layer.metadata import kept_xattrs
from rootrun.layer.walk import Visited, walk_tree
from rootrun.namedtuple import NamedTuple

MASK = (1 << 64) - 1
"""Sums are taken modulo 2^64."""

# File systems with 32-bit times store what is later as this.
_LATEST_COMPARED_S = (1 << 31) - 1
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class Held(NamedTuple):
    """What the disk has of a path beside its type, mode, time and content."""

    uid: int = 0
    gid: int = 0
    xattrs_crc: int = 0


NOTHING_HELD = Held()


class _File(NamedTuple):
    content_crc: int
    held: Held


class LinkedFiles:
    """What several names share, so that each content is read once."""

    def __init__(self) -> None:
        self._by_inode: dict[int, _File] = {}

    def read(self, directory_fd: int, name: str, status: os.stat_result) -> _File:
        """Return the CRC of a regular file's content, reading it if it must be, and the rest."""
        known = self._by_inode.get(status.st_ino)
        if known is not None:
            return known
        fd = os.open(name, _OPEN_FILE, dir_fd=directory_fd)
        try:
            file = _File(crc_of_file(fd, status), held_of(fd, status))
        finally:
            os.close(fd)
        if status.st_nlink > 1:
            self._by_inode[status.st_ino] = file
        return file

    def drop(self, inode: int) -> None:
        """Forget an inode whose last name goes: its number can be used again."""
        self._by_inode.pop(inode, None)


def held_of(fd: int, status: os.stat_result, *, may_have_xattrs: bool = True) -> Held:
    """Return what the disk has of an open file or directory, whose status is ``status``."""
    return Held(status.st_uid, status.st_gid, _xattrs_crc(fd) if may_have_xattrs else 0)


def _xattrs_crc(fd: int) -> int:
    # The values of overlayfs's own mean nothing here; those of the kernel's making vary.
    own = [(name, b"") for name in os.listxattr(fd) if is_overlay_xattr(name)]
    crc = 0
    for name, value in sorted([*own, *kept_xattrs(fd).items()]):
        crc = crc32(b"%b\0%d\0%b" % (os.fsencode(name), len(value), value), crc)
    return crc


def entry_checksum(
    path: EntryPath,
    *,
    st_mode: int,
    size_bytes: int = 0,
    mtime_s: int = 0,
    content_crc: int = 0,
    held: Held = NOTHING_HELD,
) -> int:
    """Return one path's share of the checksum, of what the disk says of it.

    The content of a symlink is its target.
    """
    numbers = (st_mode, size_bytes, min(mtime_s, _LATEST_COMPARED_S), *held)
    return crc32(b"%o %d %d %d %d %d " % numbers + name_bytes(path), content_crc)


def visited_checksum(visited: Visited, files: LinkedFiles) -> int:
    """Return the share of a path that is on the disk, reading its content."""
    path, directory_fd, name, status = visited
    kind, st_mode, size_bytes = stat.S_IFMT(status.st_mode), status.st_mode, 0
    content_crc, held = 0, Held(status.st_uid, status.st_gid)
    if kind == stat.S_IFCHR:  # a whiteout: it is there, and nothing else of it means anything
        return entry_checksum(path, st_mode=st_mode)
    if kind == stat.S_IFREG:
        size_bytes = status.st_size
        content_crc, held = files.read(directory_fd, name, status)
    elif kind == stat.S_IFLNK:
        st_mode = kind
        content_crc = crc32(os.fsencode(os.readlink(name, dir_fd=directory_fd)))
    elif kind == stat.S_IFDIR:
        fd = os.open(name, _OPEN_DIRECTORY, dir_fd=directory_fd)
        try:
            held = held_of(fd, status)
        finally:
            os.close(fd)
    return entry_checksum(
        path,
        st_mode=st_mode,
        size_bytes=size_bytes,
        mtime_s=_seconds(status),
        content_crc=content_crc,
        held=held,
    )


def checksum_tree(tree_fd: int) -> int:
    """Return the checksum of an unpacked layer as its tree is now.

    Must run with the ids that unpacked it: inside the user namespace for a tree
    that was made inside one. Raises OSError for what cannot be read.
    """
    files = LinkedFiles()
    top = os.fstat(tree_fd)
    total = entry_checksum(
        ROOT, st_mode=top.st_mode, mtime_s=_seconds(top), held=held_of(tree_fd, top)
    )
    for visited in walk_tree(tree_fd, ROOT):
        total += visited_checksum(visited, files)
    return total & MASK


def _seconds(status: os.stat_result) -> int:
    return status.st_mtime_ns // 1_000_000_000
