"""From a descriptor in the container to the file of the upper directory behind it."""

import errno
import os
from pathlib import Path

from rootrun.fakeroot.ownership import FileKey, birth_ns
from rootrun.layer.entry import EntryPath
from rootrun.sandbox.beneath import open_in_root

_ATTEMPTS = 3


class UpperTree:
    """The upper directory of the mounted root at ``root``. It holds a descriptor until ``close``.

    The merged view shows the lower's inode number after a copy-up until the inode is evicted,
    and then the upper's: only the upper itself tells which file it is.
    """

    def __init__(self, *, root: Path, upper: Path) -> None:
        self._device = os.stat(root).st_dev
        self._fd = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._fd)

    def has(self, status: os.stat_result) -> bool:
        """Say whether what ``status`` (of fstat) is about belongs to the container's root."""
        return status.st_dev == self._device

    def path(self, fd: int) -> EntryPath:
        """Return where in the root ``fd`` was opened, wherever the process itself has its root."""
        return EntryPath(os.readlink(f"/proc/self/fd/{fd}").strip("/"))

    def key(self, fd: int) -> FileKey:
        """Return the key of a file that is in the upper: that was copied up, or made by the run."""
        return self.find(fd) or FileKey(os.fstat(fd).st_ino, birth_ns(fd))  # deleted meanwhile

    def find(self, fd: int) -> FileKey | None:
        """Return the key of a file, None if the upper has none at its path."""
        birth = birth_ns(fd)
        for _ in range(_ATTEMPTS):
            path = os.readlink(f"/proc/self/fd/{fd}".encode())
            try:
                found = open_in_root(self._fd, path, follow=False)
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                    raise
                return None
            try:
                key = FileKey(os.fstat(found).st_ino, birth_ns(found))
            finally:
                os.close(found)
            if key.birth_ns == birth:
                return key  # else it was renamed between the two
        return None
