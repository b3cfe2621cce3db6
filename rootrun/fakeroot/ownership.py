"""The memory of a run: whose a file is and which device it stands for, where the disk cannot say.

A file is known by its inode number and its birth time in the upper directory. Both stay with it
through rename, hard link, chmod and writing; a new file of the same number was born later.
"""

import errno
import os
from typing import NamedTuple

from rootrun.layer.compare import Remembered
from rootrun.sandbox.beneath import birth_time_ns


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


class OwnershipMemory:
    """What was remembered; ``rootrun.layer.compare.Ownership`` for the diff."""

    def __init__(self) -> None:
        self._known: dict[FileKey, Remembered] = {}
        self._inodes: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def remember(self, key: FileKey, *, uid: int | None, gid: int | None) -> None:
        """Note the new owner of a file; None keeps what is known of it."""
        old = self._known.get(key, Remembered())
        self._set(
            key,
            old._replace(uid=old.uid if uid is None else uid, gid=old.gid if gid is None else gid),
        )

    def remember_device(self, key: FileKey, device: Remembered) -> None:
        """Note that a new, empty file stands for ``device``."""
        self._set(key, device)

    def recall(self, key: FileKey) -> Remembered | None:
        """Return what is known of a file, None for nothing."""
        return self._known.get(key)

    def of_upper(self, directory_fd: int, name: str, status: os.stat_result) -> Remembered | None:
        """Return what is known of ``name`` in a directory of the upper (``Ownership``)."""
        if status.st_ino not in self._inodes:
            return None
        return self.recall(FileKey(status.st_ino, birth_ns(directory_fd, os.fsencode(name))))

    def _set(self, key: FileKey, remembered: Remembered) -> None:
        self._known[key] = remembered
        self._inodes.add(key.inode)
