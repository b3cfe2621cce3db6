"""The memory of a run: whose a file is and which device it stands for, where the disk cannot say.

A file is known by its inode number and its birth time in the upper directory. Both stay with it
through rename, hard link, chmod and writing; a new file of the same number was born later.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable

from rootrun.layer.compare import Remembered
from rootrun.layer.metadata import CAPABILITY
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.beneath import birth_time_ns

_FIRST_PRUNING = 65536


class FileKey(NamedTuple):
    """A file of the upper directory, as long as it exists."""

    inode: int
    birth_ns: int


def birth_ns(fd: int, name: bytes = b"") -> int:
    """Return the birth time of ``fd``, or of ``name`` in it; 0 where the disk records none."""
    try:
        return birth_time_ns(fd, name)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return 0


class OnDisk(NamedTuple):
    """What the disk says of a file."""

    uid: int
    gid: int
    mode: int  # with its format
    size_bytes: int


class StandIns(NamedTuple):
    """The ids that files have on the disk whose true ones the id map lacks."""

    uid: int
    gid: int


class OwnershipMemory:
    """What was remembered; ``rootrun.layer.compare.Ownership`` for the diff.

    ``living`` tells all files that there are; it is asked each time the memory has doubled, so that
    it grows with the files that exist and not with those that ever did. With ``stand_ins``, an
    owner counts as long as the disk has the stand-in: other ids are the kernel's, unasked.
    """

    def __init__(
        self, living: Callable[[], Iterable[FileKey]], stand_ins: StandIns | None = None
    ) -> None:
        self._stand_ins = stand_ins
        self._known: dict[FileKey, Remembered] = {}
        self._aliases: dict[FileKey, FileKey] = {}
        self._living = living
        self._next_pruning = _FIRST_PRUNING

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, key: FileKey, remembered: Remembered, *, seen_as: FileKey) -> None:
        """Note ``remembered`` of a file; a None in it keeps what is known.

        ``seen_as`` is its key in the merged view, which shows the lower's inode number after a
        copy-up until the inode is evicted, and then the upper's.
        """
        old = self._known.get(key)
        self._known[key] = remembered if old is None else remembered.over(old)
        if seen_as != key:
            self._aliases[seen_as] = key
        if len(self._known) + len(self._aliases) > self._next_pruning:
            self._prune()

    def key_of(self, seen: FileKey) -> FileKey | None:
        """Return the key of a file of the merged view, None if nothing is known of it."""
        return seen if seen in self._known else self._aliases.get(seen)

    def recall(self, key: FileKey, on_disk: OnDisk) -> Remembered | None:
        """Return what is known of a file of the upper or of the merged view, None for nothing."""
        known = self._known.get(key)
        if known is None and key in self._aliases:
            known = self._known.get(self._aliases[key])
        if known is None:
            return None
        known = unless_written(known, on_disk)
        if self._stand_ins is None:
            return known
        uid, gid = on_disk.uid, on_disk.gid
        return known._replace(
            uid=known.uid if known.uid is None or uid == self._stand_ins.uid else uid,
            gid=known.gid if known.gid is None or gid == self._stand_ins.gid else gid,
        )

    def of_upper(self, directory_fd: int, name: str, status: os.stat_result) -> Remembered | None:
        """Return what is known of ``name`` in a directory of the upper (``Ownership``)."""
        if not self._known:
            return None
        key = FileKey(status.st_ino, birth_ns(directory_fd, os.fsencode(name)))
        on_disk = OnDisk(status.st_uid, status.st_gid, status.st_mode, status.st_size)
        return self.recall(key, on_disk)

    def _prune(self) -> None:
        living = set(self._living())
        self._known = {key: value for key, value in self._known.items() if key in living}
        self._aliases = {seen: key for seen, key in self._aliases.items() if key in living}
        self._next_pruning = max(_FIRST_PRUNING, 2 * (len(self._known) + len(self._aliases)))


def unless_written(known: Remembered, on_disk: OnDisk) -> Remembered:
    """Return what is known of a file, without privileges if by its size it was written to."""
    if known.size_bytes in (None, on_disk.size_bytes):
        return known
    return without_privileges(known, on_disk.mode)


def without_privileges(known: Remembered, mode: int) -> Remembered:
    """Return what is known of a file, of ``mode`` on the disk, that chown(2) and write(2) leave.

    That is all of a directory, and of others all but set-id bits and capabilities.
    """
    if stat.S_ISDIR(mode):
        return known
    set_ids, xattrs = known.set_ids, known.xattrs
    if set_ids is not None:
        # setattr_should_drop_sgid: without execution by the group it was mandatory locking once.
        set_ids &= 0 if mode & stat.S_IXGRP else stat.S_ISGID
    if xattrs is not None:
        xattrs = {name: value for name, value in xattrs.items() if name != CAPABILITY}
    return known._replace(set_ids=set_ids, xattrs=xattrs, size_bytes=None)
