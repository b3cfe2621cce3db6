"""What is known of the files of the container's root beyond what the disk says of them."""

import os
import stat
from collections.abc import Callable, Iterable

from rootrun.fakeroot.names import Names
from rootrun.fakeroot.ownership import OwnershipMemory, StandIns, unless_written
from rootrun.fakeroot.permission import Known
from rootrun.fakeroot.upper import Status, UpperTree, path_of, status_of
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import EntryPath, EntryType
from rootrun.layer.metadata import CAPABILITY

_FORMATS = {EntryType.CHARACTER_DEVICE: stat.S_IFCHR, EntryType.BLOCK_DEVICE: stat.S_IFBLK}

_ACL = "system.posix_acl_access"
_OF_ALL = 0o777

BaseRecord = Callable[[EntryPath], Remembered | None]
"""Returns what the image says of a path, None where the disk says the same."""


class Files:
    """The memory of the run over the records of the base.

    ``recorded`` are the paths of which the disk does not say what the image does, as far as the
    base still has them there: what is new at such a path has to be noted. ``stand_ins`` is None
    where the disk holds no ids but one; with ``hides_set_ids`` it holds no set-id bits either.
    ``names`` has the last component of each path of which something is known.
    """

    def __init__(
        self,
        tree: UpperTree,
        memory: OwnershipMemory,
        *,
        base: BaseRecord,
        recorded: Iterable[EntryPath],
        stand_ins: StandIns | None,
        hides_set_ids: bool = False,
    ) -> None:
        self.tree = tree
        self.stand_ins = stand_ins
        self._memory = memory
        self._base = base
        self._recorded = frozenset(recorded)
        self._recorded_names = frozenset(_last(path) for path in self._recorded)
        self.names = Names(self._recorded_names)
        self.hides_set_ids = hides_set_ids

    @property
    def are_all_on_disk(self) -> bool:
        """Whether there is nothing yet that the disk does not say."""
        return not self._memory and not self._recorded

    def recall(self, fd: int, status: Status) -> Remembered | None:
        """Return what is known of an open file, None where the disk says it all."""
        if not self.tree.has(status):
            return None
        known = self._memory.recall(status.key, status.on_disk)
        if known is not None and known.uid is not None and known.gid is not None:
            return known
        if not self._recorded:
            return known
        path = self.tree.path(fd, status)
        base = self._base(path) if path in self._recorded else None
        if base is None:
            return known
        base = unless_written(base, status.on_disk)
        return base if known is None else known.over(base)

    def known(self, fd: int, status: Status | None = None) -> Known:
        """Return the truth about an open file."""
        status = status or status_of(fd)
        recalled = self.recall(fd, status)
        if recalled is None:
            return Known(status.uid, status.gid, status.mode)
        return Known(
            status.uid if recalled.uid is None else recalled.uid,
            status.gid if recalled.gid is None else recalled.gid,
            mode_of(status.mode, recalled),
        )

    def permissions(self, fd: int, status: Status) -> Known:
        """Return the truth about a file for ``check_access``: an ACL has its mode forbid nothing.

        Of an ACL the disk has not the ids, and the mode alone would refuse whom it lets in.
        """
        known = self.known(fd, status)
        if stat.S_ISLNK(known.mode) or known.mode & _OF_ALL == _OF_ALL or not _has_acl(fd):
            return known
        return known._replace(mode=known.mode | _OF_ALL)

    def note(self, fd: int, remembered: Remembered, status: Status | None = None) -> None:
        """Remember of an open file of the upper what the disk does not say."""
        status = status or status_of(fd)
        if self.tree.has(status):  # nothing else gets into a layer
            if remembered.set_ids or (remembered.xattrs and CAPABILITY in remembered.xattrs):
                remembered = remembered._replace(size_bytes=status.size_bytes)
            seen_at = path_of(fd)
            key = self._memory.key_of(status.key) or self.tree.key(fd, status, seen_at)
            self.names.add_last_of(seen_at)
            if status.link_count > 1 and not stat.S_ISDIR(status.mode):
                self.names.add_linked()
            self._memory.remember(key, remembered, seen_as=status.key)

    def note_new(self, fd: int, remembered: Remembered) -> None:
        """Remember of a file that was just made, and is in no lower."""
        status = status_of(fd)
        self.names.add_last_of(path_of(fd))
        self._memory.remember(status.key, remembered, seen_as=status.key)

    def note_moving(self, fd: int, status: Status) -> None:
        """Remember all of a file that gets another name: the base's record goes by the name."""
        if stat.S_ISDIR(status.mode) and self.recall(fd, status) is not None:
            return  # a directory of the base is not renamed but copied (EXDEV)
        known = self.recall(fd, status) or Remembered()
        if not stat.S_ISDIR(status.mode):
            copy_up(fd)
        self.note(fd, known.over(Remembered(status.uid, status.gid)))

    def is_recorded(self, path: EntryPath) -> bool:
        """Say whether the base has a record of ``path``."""
        return path in self._recorded

    def may_be_recorded(self, name: bytes) -> bool:
        """Say whether the base has a record of some path with that last component."""
        return name in self._recorded_names


def _last(path: EntryPath) -> bytes:
    return os.fsencode(path.rpartition("/")[2])


def copy_up(fd: int) -> None:
    """Have a file be in the upper, where it has a key, without a change that can be seen."""
    path = f"/proc/self/fd/{fd}"
    found = os.stat(path)
    # Not by chown(2), which would clear set-id bits.
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _has_acl(fd: int) -> bool:
    try:
        return bool(os.getxattr(f"/proc/self/fd/{fd}", _ACL))
    except OSError:  # ENODATA, or the disk has no such thing
        return False


def mode_of(mode: int, remembered: Remembered) -> int:
    """Return st_mode, as the disk has it, with what is remembered."""
    if remembered.device is not None:
        mode = stat.S_IMODE(mode) | _FORMATS[remembered.device]
    return remembered.mode_on(mode)
