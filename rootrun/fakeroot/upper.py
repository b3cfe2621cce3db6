"""From a descriptor in the container to the file of the upper directory behind it."""

import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rootrun.fakeroot.ownership import FileKey, OnDisk
from rootrun.layer.entry import EntryPath
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox import syscalls
from rootrun.sandbox.beneath import open_in_root
from rootrun.sandbox.restriction import file_beside

_ATTEMPTS = 3
_AT_EMPTY_PATH = 0x1000
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BASIC_STATS, _STATX_BTIME = 0x7FF, 0x800
# struct statx: mask, (block size, attributes), links, uid, gid, mode, inode, size, ..., birth, ...
_STATX = struct.Struct("=I12xIIIH2xQQ32xqI4x40xII")
_NS = 1_000_000_000
_DELETED = b" (deleted)"


class Status(NamedTuple):
    """What statx(2) tells of an open file."""

    device: int
    inode: int
    birth_ns: int  # 0 where the disk records none
    mode: int
    link_count: int
    uid: int
    gid: int
    size_bytes: int

    @property
    def on_disk(self) -> OnDisk:
        """What counts for the memory."""
        return OnDisk(self.uid, self.gid, self.mode, self.size_bytes)

    @property
    def key(self) -> FileKey:
        """The file's key as the view has it in which it was opened."""
        return FileKey(self.inode, self.birth_ns)


def status_of(fd: int, name: bytes = b"") -> Status:
    """Return the status of ``fd``, or of ``name`` in it, which is not followed."""
    flags = _AT_SYMLINK_NOFOLLOW if name else _AT_EMPTY_PATH
    found = syscalls.statx(fd, name, flags=flags, mask=_STATX_BASIC_STATS | _STATX_BTIME)
    fields = _STATX.unpack_from(found)
    mask, links, uid, gid, mode, inode, size, born, born_ns, major, minor = fields
    birth = born * _NS + born_ns if mask & _STATX_BTIME else 0
    device = os.makedev(major, minor)
    return Status(device, inode, birth, mode, links, uid, gid, size)


def path_of(fd: int) -> bytes:
    """Return where ``fd`` was opened, as this process sees it (proc_pid_fd(5))."""
    return os.readlink(f"/proc/self/fd/{fd}".encode())


class UpperTree:
    """The upper directory of the mounted root at ``root``. It holds a descriptor until ``close``.

    The merged view shows the lower's inode number after a copy-up until the inode is evicted,
    and then the upper's: only the upper itself tells which file it is.
    """

    def __init__(self, *, root: Path, upper: Path) -> None:
        self._devices = {os.stat(root).st_dev}
        if upper == root:  # a copy; on an overlay of several file systems, files differ in st_dev
            with file_beside(root) as fd:
                self._devices.add(os.fstat(fd).st_dev)
        self._fd = os.open(upper, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self._fd)

    def has(self, status: Status) -> bool:
        """Say whether the file belongs to the container's root."""
        return status.device in self._devices

    def path(self, fd: int, status: Status) -> EntryPath:
        """Return where in the root ``fd`` was opened, wherever the process itself has its root."""
        path = path_of(fd)
        if not status.link_count:
            path = path.removesuffix(_DELETED)
        return EntryPath(os.fsdecode(path.strip(b"/")))

    def key(self, fd: int, status: Status, seen_at: bytes) -> FileKey:
        """Return the key of a file that is in the upper: that was copied up, or made by the run.

        ``seen_at`` is what ``path_of`` has just told of it.
        """
        return self._find(fd, status.birth_ns, seen_at) or status.key  # deleted meanwhile

    def keys_above(self, fd: int, status: Status) -> Iterator[FileKey]:
        """Yield the keys of the directories that a file is in, those in the upper, from below."""
        path = os.fsencode(self.path(fd, status))
        while path:
            path = path.rpartition(b"/")[0]
            with suppress(OSError):  # it is in a lower alone, or gone
                directory = open_in_root(self._fd, path or b".", follow=False)
                try:
                    key = status_of(directory).key
                finally:
                    os.close(directory)
                yield key

    def living(self) -> set[FileKey]:
        """Return the keys of all files in the upper.

        The script goes on meanwhile. What moves while one pass looks, the other one sees.
        """
        return set(self._listed()) | set(self._listed())

    def _listed(self) -> Iterator[FileKey]:
        yield status_of(self._fd).key
        waiting = [b"."]
        while waiting:
            directory = waiting.pop()
            with suppress(OSError):  # it is gone, or deeper than any call could name
                fd = open_in_root(self._fd, directory, follow=False)
                try:
                    for name, status in _statuses(fd):
                        yield status.key
                        if stat.S_ISDIR(status.mode):
                            waiting.append(directory + b"/" + name)
                finally:
                    os.close(fd)

    def _find(self, fd: int, birth: int, seen_at: bytes) -> FileKey | None:
        """Return the key of a file, None if the upper has none at its path."""
        for _ in range(_ATTEMPTS):
            path = seen_at.strip(b"/") or b"."
            try:
                # Only its number is read: if the script has put a link in the way meanwhile, what
                # is remembered is of no use to anybody, and forgotten in time.
                key = status_of(self._fd, path).key
            except OSError as error:
                if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}:
                    raise
                return None
            if key.birth_ns == birth:
                return key
            seen_at = path_of(fd)  # it was renamed between the two
        return None


def _statuses(directory_fd: int) -> Iterator[tuple[bytes, Status]]:
    listing = os.open(f"/proc/self/fd/{directory_fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in map(os.fsencode, os.listdir(listing)):
            with suppress(FileNotFoundError):
                yield name, status_of(listing, name)
    finally:
        os.close(listing)
