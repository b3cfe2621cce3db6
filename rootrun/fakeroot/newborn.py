"""Where a new file is to be, whose it is to be, and whether its maker may."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rootrun.fakeroot.caller import Caller
from rootrun.fakeroot.credentials import CAP_DAC_OVERRIDE, ROOT, Credentials
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.permission import SEARCH, WRITE, Known, check_access
from rootrun.fakeroot.upper import Status, status_of
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import SET_ID_BITS, join
from rootrun.namedtuple import NamedTuple

_NEW_FILE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Origin(NamedTuple):
    """The place of a new file, and what it is to be."""

    parent: int  # O_PATH
    leaf: bytes
    parent_mode: int  # as on the disk
    parent_known: Known
    creator: Credentials
    owner: Remembered
    disk_owner: tuple[int, int] | None  # None: all files have the same there


class Newborn:
    """The rules for new files of the container's root."""

    def __init__(self, files: Files, creator_of: Callable[[Caller], Credentials]) -> None:
        self._files = files
        self._creator_of = creator_of

    @contextmanager
    def place(
        self, caller: Caller, directory: int, path: bytes, *, is_always_ours: bool = False
    ) -> Iterator[Origin | None]:
        """Yield where ``path`` is to be; None where the kernel makes it as it has to be.

        ``is_always_ours`` says that the kernel cannot. None too where it is not in our root.
        """
        parent, leaf = caller.place(directory, path)
        try:
            origin = self._origin(caller, parent, leaf, is_always_ours=is_always_ours)
            is_ours = is_always_ours or (origin is not None and self._differs(origin))
            yield origin if is_ours else None
        finally:
            os.close(parent)

    def check_place(self, origin: Origin) -> None:
        """Raise EACCES if the creator may not make anything there."""
        check_access(origin.creator, origin.parent_known, WRITE | SEARCH)

    def check_new(self, origin: Origin) -> None:
        """Do as ``check_place`` if there is nothing yet: EEXIST comes first."""
        if not is_there(origin):
            self.check_place(origin)

    def note(self, origin: Origin) -> None:
        """Remember whose the file is that was made just now."""
        fd = os.open(origin.leaf, _NEW_FILE, dir_fd=origin.parent)
        try:
            self.note_open(origin, fd)
        finally:
            os.close(fd)

    def note_open(self, origin: Origin, fd: int) -> None:
        """Remember whose the open file is that was made just now."""
        status, owner = status_of(fd), origin.owner
        if origin.disk_owner not in (None, (status.uid, status.gid)):
            owner = _give(fd, status, owner, origin.disk_owner)
        is_inherited = origin.parent_known.mode & stat.S_ISGID and stat.S_ISDIR(status.mode)
        if is_inherited and not status.mode & stat.S_ISGID:
            owner = owner._replace(set_ids=stat.S_ISGID)
        self._files.note_new(fd, owner)

    def _origin(
        self, caller: Caller, parent: int, leaf: bytes, *, is_always_ours: bool
    ) -> Origin | None:
        status = status_of(parent)
        if not self._files.tree.has(status):
            return None
        creator = self._creator_of(caller)
        if not is_always_ours and self._is_plain(status, creator, leaf):
            return None
        known = self._files.permissions(parent, status)
        uid, gid = creator.uids.file_system, creator.gids.file_system
        is_inherited = known.mode & stat.S_ISGID
        if self._has_one_id:
            owner, disk_owner = Remembered(uid, known.gid if is_inherited else gid), None
        else:
            owner, disk_owner = Remembered(), (uid, status.gid if is_inherited else gid)
        return Origin(parent, leaf, status.mode, known, creator, owner, disk_owner)

    @property
    def _has_one_id(self) -> bool:
        """Whether the kernel makes all files the same user's, whoever makes them."""
        return self._files.stand_ins is None

    def _is_plain(self, status: Status, creator: Credentials, leaf: bytes) -> bool:
        """Say at little cost that the kernel makes the file as it has to be, as it mostly does."""
        may_inherit = status.mode & stat.S_ISGID or self._files.hides_set_ids
        return creator is ROOT and not may_inherit and not self._files.may_be_recorded(leaf)

    def _differs(self, origin: Origin) -> bool:
        """Say whether the kernel would not make the file as it has to be."""
        if self._has_one_id:
            if (origin.owner.uid, origin.owner.gid) != (0, 0):
                return True
            if not origin.creator.has(CAP_DAC_OVERRIDE):
                return True
        # The bit may be kept off the disk by a filter, and then the kernel does not hand it down.
        is_on_disk = not (origin.parent_known.mode ^ origin.parent_mode) & stat.S_ISGID
        return not is_on_disk or self._is_recorded(origin.parent, origin.leaf)

    def _is_recorded(self, parent: int, leaf: bytes) -> bool:
        if not self._files.may_be_recorded(leaf):
            return False
        directory = self._files.tree.path(parent, status_of(parent))
        return self._files.is_recorded(join(directory, os.fsdecode(leaf)))


def is_there(origin: Origin) -> bool:
    """Say whether there is something already."""
    try:
        os.stat(origin.leaf, dir_fd=origin.parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _give(fd: int, status: Status, owner: Remembered, disk_owner: tuple[int, int]) -> Remembered:
    """Make an open file its creator's, which this process has made; what that takes comes back.

    It is remembered for as long as the file is not written to.
    """
    os.chown(f"/proc/self/fd/{fd}", *disk_owner)
    set_ids = status.mode & SET_ID_BITS
    if not set_ids or stat.S_ISDIR(status.mode):
        return owner
    return owner._replace(set_ids=set_ids, size_bytes=status.size_bytes)
