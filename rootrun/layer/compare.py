"""Whether a path of the run differs from the base's, in what a layer can say of it."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rootrun.annotation import Protocol
from rootrun.dataclass import dataclass, field, replace
from rootrun.layer.content import same_content
from rootrun.layer.entry import SET_ID_BITS, Entry, EntryPath, EntryType
from rootrun.layer.metadata import entry_of, kept_xattrs
from rootrun.layer.policy import LayerPolicy, OwnerRule
from rootrun.layer.unheld import is_copied_up, with_device, with_unheld, without_privileges
from rootrun.namedtuple import NamedTuple

_SHOWN_PATHS = 5
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class BaseEntry(NamedTuple):
    """A path of the base: what the image says of it, and what the merged view says.

    ``disk`` is None for what the view does not show at all: a device, for which an empty file may
    stand in it.
    ``disk_xattrs`` is False where the disk could not hold the extended attributes.
    ``is_own`` says whether what the run left at the path is the base's own file; None: the marks
    of overlayfs tell. ``opener`` opens the base's file, None: it is in the base's directory.
    """

    entry: Entry
    disk: os.stat_result | None
    disk_xattrs: bool = True
    is_own: bool | None = None
    opener: Callable[[], int] | None = None

    @contextmanager
    def opened(self, name: str, *, directory_fd: int) -> Iterator[int]:
        """Open the base's file or directory, which is ``name`` in ``directory_fd``."""
        if self.opener is not None:
            descriptor = self.opener()
        else:
            descriptor = os.open(name, _OPEN_FILE, dir_fd=directory_fd)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


class Remembered(NamedTuple):
    """What the run made of a path, as far as the disk does not hold it; None: what the disk says.

    A device stands on the disk as an empty regular file with the device's mode. ``set_ids`` are the
    set-id bits, ``xattrs`` all that a layer keeps.
    """

    uid: int | None = None
    gid: int | None = None
    device: EntryType | None = None
    rdev: tuple[int, int] = (0, 0)
    set_ids: int | None = None
    xattrs: Mapping[str, bytes] | None = None
    size_bytes: int | None = None  # when set-id bits or capabilities were given

    def over(self, older: "Remembered") -> "Remembered":
        """Return this, and what ``older`` says of the rest."""
        uid = older.uid if self.uid is None else self.uid
        gid = older.gid if self.gid is None else self.gid
        device, rdev = (self.device, self.rdev) if self.device else (older.device, older.rdev)
        set_ids = older.set_ids if self.set_ids is None else self.set_ids
        xattrs = older.xattrs if self.xattrs is None else self.xattrs
        size_bytes = older.size_bytes if self.size_bytes is None else self.size_bytes
        return Remembered(uid, gid, device, rdev, set_ids, xattrs, size_bytes)

    def on(self, entry: Entry) -> Entry:
        """Return ``entry``, read from the disk, with what is remembered of it."""
        if self is _NOTHING:
            return entry
        entry = replace(
            entry,
            uid=entry.uid if self.uid is None else self.uid,
            gid=entry.gid if self.gid is None else self.gid,
            mode=self.mode_on(entry.mode),
            xattrs=entry.xattrs if self.xattrs is None else self.xattrs,
        )
        if self.device is None:
            return entry
        return replace(entry, type=self.device, rdev=self.rdev, size_bytes=0, xattrs={})

    def mode_on(self, mode: int) -> int:
        """Return ``mode``, as the disk has it, with the set-id bits that are remembered."""
        return mode if self.set_ids is None else mode & ~SET_ID_BITS | self.set_ids


_NOTHING = Remembered()


class Ownership(Protocol):
    """The memory of owners and devices of a run that could not give them to the disk."""

    def of_upper(self, directory_fd: int, name: str, status: os.stat_result) -> Remembered | None:
        """Return what is remembered of ``name`` in ``directory_fd``, of itself if it is empty.

        ``status`` is lstat(2) of it in the upper directory.
        """


@dataclass(slots=True)
class DiffNotes:
    """What the layer does not keep, for one line each to the user."""

    dropped_owners: int = 0  # paths whose owner is not the policy's
    sockets: list[EntryPath] = field(default_factory=list)
    unspeakable: list[EntryPath] = field(default_factory=list)  # named like a whiteout

    def lines(self) -> list[str]:
        """Return what to tell the user."""
        lines = []
        if self.dropped_owners:
            lines.append(
                f"{self.dropped_owners} changed paths with another owner than 0:0 are written as"
                " 0:0; --owner keep keeps their owners"
            )
        if self.sockets:
            lines.append(f"sockets have no place in a layer and are dropped: {_some(self.sockets)}")
        if self.unspeakable:
            lines.append(
                "names that begin with .wh. mean deletions in a layer, files with such names"
                f" are dropped: {_some(self.unspeakable)}"
            )
        return lines


def _some(paths: list[EntryPath]) -> str:
    shown = ", ".join(repr(path) for path in paths[:_SHOWN_PATHS])
    more = len(paths) - _SHOWN_PATHS
    return f"{shown} and {more} more" if more > 0 else shown


class PathOnDisk(NamedTuple):
    """A path of the upper directory: ``name`` in ``directory_fd``, and the base's directory."""

    path: EntryPath
    directory_fd: int
    base_fd: int
    name: str
    status: os.stat_result


class Copied(NamedTuple):
    """lstat(2) of a path of the upper, and whether it is the base's own (``is_copied_up``)."""

    status: os.stat_result
    is_copied_up: bool

    @classmethod
    def of(
        cls, status: os.stat_result, below: BaseEntry | None, *, xattrs: list[str] | None
    ) -> "Copied":
        """Return it for what ``below`` is of; ``xattrs`` are those of ``is_copied_up``."""
        if below is None or below.disk is None:
            return cls(status, False)
        if below.is_own is not None:
            return cls(status, below.is_own)
        return cls(status, is_copied_up(status, below.disk, xattrs=xattrs))


class Comparison:
    """The rules by which a path is a change, for one policy; drops are counted in ``notes``."""

    def __init__(
        self, policy: LayerPolicy, notes: DiffNotes, ownership: Ownership | None = None
    ) -> None:
        self._policy = policy
        self._notes = notes
        self._ownership = ownership

    def remembered(self, directory_fd: int, name: str, status: os.stat_result) -> Remembered:
        """Return what the disk does not say of a path of the upper (``Ownership.of_upper``)."""
        if self._ownership is None:
            return _NOTHING
        return self._ownership.of_upper(directory_fd, name, status) or _NOTHING

    def changed_file(self, here: PathOnDisk, below: BaseEntry | None) -> Entry | None:
        """Return the entry to write for anything but a directory, None if it is as the base's.

        Content is read only where type and size are the same.
        """
        remembered = self.remembered(here.directory_fd, here.name, here.status)
        entry, xattr_names = _read_entry(here)
        entry = remembered.on(entry)
        copied = Copied.of(here.status, below, xattrs=xattr_names)
        if below is not None and copied.is_copied_up and remembered == _NOTHING:
            entry = with_device(entry, base=below.entry)
        if below is None or below.entry.type is not entry.type or below.disk is None:
            return self.rewritten(entry)
        if entry.type is EntryType.FILE:
            return self._changed_content(here, entry, below, copied=copied, remembered=remembered)
        if entry.link_target != below.entry.link_target or entry.rdev != below.entry.rdev:
            true = _true(entry, copied, below, disk_xattrs={}, is_stripped=False)
            return self.rewritten(remembered.on(true))
        return self.changed_metadata(entry, copied, below, base_fd=-1, remembered=remembered)

    def changed_metadata(
        self,
        entry: Entry,
        here: Copied,
        below: BaseEntry,
        *,
        base_fd: int,
        remembered: Remembered,
    ) -> Entry | None:
        """Return the entry to write if metadata that counts is new, else None.

        ``base_fd`` is the base's own file or directory, -1 for what has no
        extended attributes that a layer keeps.
        """
        disk_xattrs = kept_xattrs(base_fd) if base_fd >= 0 else {}
        is_given_away = remembered.uid is not None or remembered.gid is not None
        true = _true(entry, here, below, disk_xattrs=disk_xattrs, is_stripped=is_given_away)
        true = remembered.on(true)
        old = below.entry
        owner_is_new = (true.uid, true.gid) != (old.uid, old.gid)
        old_xattrs = disk_xattrs if below.disk_xattrs else dict(old.xattrs)
        if (
            true.mode != old.mode
            or dict(true.xattrs) != old_xattrs
            or self._policy.counts(true, old)
        ):
            return self.rewritten(true)
        if owner_is_new and self._policy.owner is OwnerRule.ROOT:
            self._notes.dropped_owners += 1
        return None

    def rewritten(self, entry: Entry) -> Entry:
        """Return ``entry`` as the policy writes a change."""
        if self._policy.owner is OwnerRule.ROOT and (entry.uid, entry.gid) != (0, 0):
            self._notes.dropped_owners += 1
        uid, gid = self._policy.owner_of(entry.uid, entry.gid)
        return replace(entry, uid=uid, gid=gid, mtime_s=self._policy.mtime_of(entry.mtime_s))

    def _changed_content(
        self,
        here: PathOnDisk,
        entry: Entry,
        below: BaseEntry,
        *,
        copied: Copied,
        remembered: Remembered,
    ) -> Entry | None:
        with below.opened(here.name, directory_fd=here.base_fd) as base_file:
            if entry.size_bytes == os.fstat(base_file).st_size and same_content(
                here.name, base_file, directory_fd=here.directory_fd
            ):
                return self.changed_metadata(
                    entry, copied, below, base_fd=base_file, remembered=remembered
                )
            disk_xattrs = kept_xattrs(base_file)
            true = _true(entry, copied, below, disk_xattrs=disk_xattrs, is_stripped=True)
            return self.rewritten(remembered.on(true))


def _true(
    entry: Entry,
    here: Copied,
    below: BaseEntry,
    *,
    disk_xattrs: Mapping[str, bytes],
    is_stripped: bool,
) -> Entry:
    """Return ``entry`` with what the disk could not hold of the base, where it is unchanged.

    ``is_stripped``: it was written or given away, which takes privileges from a file.
    """
    if below.disk is None or not here.is_copied_up:
        return entry
    held = None if below.disk_xattrs else disk_xattrs
    entry = with_unheld(
        entry, here.status, base=below.entry, base_status=below.disk, disk_xattrs=held
    )
    if is_stripped:
        return without_privileges(
            entry, here.status, base_status=below.disk, disk_xattrs=disk_xattrs
        )
    return entry


def _read_entry(here: PathOnDisk) -> tuple[Entry, list[str] | None]:
    """Return a path as the disk has it, and the names of its extended attributes."""
    if stat.S_ISLNK(here.status.st_mode):
        target = os.readlink(here.name, dir_fd=here.directory_fd)
        return entry_of(here.path, here.status, link_target=target), None
    if not stat.S_ISREG(here.status.st_mode):
        return entry_of(here.path, here.status), None
    descriptor = os.open(here.name, _OPEN_FILE, dir_fd=here.directory_fd)
    try:
        entry = entry_of(here.path, here.status, xattrs=kept_xattrs(descriptor))
        return entry, os.listxattr(descriptor)
    finally:
        os.close(descriptor)
