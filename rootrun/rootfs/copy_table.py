"""What a copy of a base was when it was made, by which is found what a run has touched."""

import errno
import os
import stat
import time

from rootrun.dataclass import dataclass, field
from rootrun.layer.entry import ROOT, EntryPath, parent
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.beneath import birth_time_ns

_POLL_S = 0.001
# Here ctime changes with every change of a file, by mmap(2) too. On tmpfs it does not: a page that
# was read through a writable mapping is written to without a fault. Of others nothing is known.
_TELLING_CTIME = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "xfs"})


class Held(NamedTuple):
    """What the disk holds of a path of the copy."""

    mode: int  # st_mode
    uid: int
    gid: int


class Stamp(NamedTuple):
    """A path of the copy. ``is_stub``: the base has it not, something is to be mounted there."""

    inode: int
    ctime_ns: int
    held: Held
    is_stub: bool


@dataclass(slots=True)
class CopyTable:
    """The stamps of a copy, by directory and name.

    ``made_ns`` is later than all of them, and earlier than all that the script does. Where
    ``ctime_tells`` is False, content is to be compared even if the stamp is the same.
    """

    directories: dict[EntryPath, dict[str, Stamp]] = field(default_factory=dict)
    made_ns: int = 0
    ctime_tells: bool = True
    _shared: dict[Held, Held] = field(default_factory=dict)

    def add(
        self, names: dict[str, Stamp], name: str, status: os.stat_result, *, is_stub: bool
    ) -> None:
        """Note ``status``, lstat(2) of the finished ``name``, in the ``names`` of a directory."""
        held = Held(status.st_mode, status.st_uid, status.st_gid)
        held = self._shared.setdefault(held, held)  # one object for all that are alike
        names[name] = Stamp(status.st_ino, status.st_ctime_ns, held, is_stub)
        self.made_ns = max(self.made_ns, status.st_ctime_ns)

    def find(self, path: EntryPath) -> Stamp | None:
        """Return the stamp of a path below the root, None if the copy has none."""
        if path == ROOT:
            return None
        return self.directories.get(parent(path), {}).get(path.rpartition("/")[2])

    def is_own(self, stamp: Stamp, status: os.stat_result, born_ns: int) -> bool:
        """Say whether ``status`` is of the file that was stamped, not of one of the same number."""
        return (
            status.st_ino == stamp.inode
            and stat.S_IFMT(status.st_mode) == stat.S_IFMT(stamp.held.mode)
            and born_ns <= self.made_ns
        )


def birth_ns(directory_fd: int, name: str) -> int:
    """Return when ``name`` was made, 0 where the disk does not record it."""
    try:
        return birth_time_ns(directory_fd, os.fsencode(name))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return 0


def wait_for_tick(directory_fd: int, name: str, *, after_ns: int) -> None:
    """Wait until a change gets a later ctime than ``after_ns``, at most some milliseconds.

    File systems take the time of the last tick (current_time(), 10 ms at 100 Hz; ext4 with inodes
    of 128 bytes counts seconds): what is changed within the tick of its copy looks untouched.
    Makes and removes the file ``name``.
    """
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
    try:
        os.unlink(name, dir_fd=directory_fd)
        while True:
            os.utime(fd)
            if os.fstat(fd).st_ctime_ns > after_ns:
                return
            time.sleep(_POLL_S)
    finally:
        os.close(fd)


def ctime_tells(directory_fd: int) -> bool:
    """Say whether the file system of a directory shows by ctime that a file was written to."""
    return _file_system_of(directory_fd) in _TELLING_CTIME


def _file_system_of(fd: int) -> str:
    """Return the type of file system that ``fd`` is on (proc_pid_mountinfo(5)); "" if unknown."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as lines:
            mount_id = next((line.split()[1] for line in lines if line.startswith("mnt_id:")), "")
    except PermissionError:  # before Linux 5.14, of a process that is not dumpable
        return ""
    with open("/proc/self/mountinfo", "rb") as mounts:
        for mount in mounts:
            fields, _, rest = mount.partition(b" - ")
            if fields.split()[0] == mount_id.encode():
                return os.fsdecode(rest.split()[0])
    return ""
