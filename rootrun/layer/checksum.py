"""The checksum of an unpacked layer, by which damage in the cache is found.

A sum over all paths, so that it can be made in the order of the tar and checked
in the order of the disk. Owners and extended attributes are not part of it:
they look different from inside and from outside of a namespace.
"""

import os
import stat
from zlib import crc32

from rootrun.layer.crc import crc_of_file
from rootrun.layer.entry import ROOT, EntryPath
from rootrun.layer.walk import Visited, walk_tree

MASK = (1 << 64) - 1
"""Sums are taken modulo 2^64."""

# File systems with 32-bit times store what is later as this.
_LATEST_COMPARED_S = (1 << 31) - 1
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class LinkedContents:
    """The CRCs of contents that several names share, so that each is read once."""

    def __init__(self) -> None:
        self._by_inode: dict[int, int] = {}

    def crc_of(self, directory_fd: int, name: str, status: os.stat_result) -> int:
        """Return the CRC of a regular file's content, reading it if it must be."""
        known = self._by_inode.get(status.st_ino)
        if known is not None:
            return known
        fd = os.open(name, _OPEN_FILE, dir_fd=directory_fd)
        try:
            crc = crc_of_file(fd, status)
        finally:
            os.close(fd)
        return crc

    def keep(self, inode: int, crc: int) -> None:
        """Remember the CRC of an inode that has more than one name."""
        self._by_inode[inode] = crc

    def drop(self, inode: int) -> None:
        """Forget an inode whose last name goes: its number can be used again."""
        self._by_inode.pop(inode, None)


def entry_checksum(
    path: EntryPath,
    *,
    st_mode: int,
    size_bytes: int = 0,
    mtime_s: int = 0,
    link_target: str = "",
    content_crc: int = 0,
) -> int:
    """Return one path's share of the checksum, of what the disk says of it."""
    fields = b"%o %d %d " % (st_mode, size_bytes, min(mtime_s, _LATEST_COMPARED_S))
    names = os.fsencode(path) + b"\0" + os.fsencode(link_target)
    return crc32(fields + names, content_crc)


def visited_checksum(visited: Visited, contents: LinkedContents) -> int:
    """Return the share of a path that is on the disk, reading its content."""
    path, directory_fd, name, status = visited
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        crc = contents.crc_of(directory_fd, name, status)
        if status.st_nlink > 1:
            contents.keep(status.st_ino, crc)
        return entry_checksum(
            path,
            st_mode=status.st_mode,
            size_bytes=status.st_size,
            mtime_s=_seconds(status),
            content_crc=crc,
        )
    if kind == stat.S_IFLNK:
        target = os.readlink(name, dir_fd=directory_fd)
        return entry_checksum(path, st_mode=kind, mtime_s=_seconds(status), link_target=target)
    if kind == stat.S_IFCHR:  # a whiteout, which has no time of its own
        return entry_checksum(path, st_mode=status.st_mode)
    return entry_checksum(path, st_mode=status.st_mode, mtime_s=_seconds(status))


def checksum_tree(tree_fd: int) -> int:
    """Return the checksum of an unpacked layer as its tree is now.

    Must run with the ids that unpacked it: inside the user namespace for a tree
    that was made inside one. Raises OSError for what cannot be read.
    """
    contents = LinkedContents()
    top = os.fstat(tree_fd)
    total = entry_checksum(ROOT, st_mode=top.st_mode, mtime_s=_seconds(top))
    for visited in walk_tree(tree_fd, ROOT):
        total += visited_checksum(visited, contents)
    return total & MASK


def _seconds(status: os.stat_result) -> int:
    return status.st_mtime_ns // 1_000_000_000
