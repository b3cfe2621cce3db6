"""A merged tree as a directory of the caller's."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator

from rootrun.layer.attributes import clear_inheritance, set_xattrs
from rootrun.layer.cursor import Cursor
from rootrun.layer.diff import Change
from rootrun.layer.entry import DEVICE_TYPES, ROOT, SET_ID_BITS, Entry, EntryType, parent
from rootrun.layer.metadata import CAPABILITY
from rootrun.rootfs.copy_file import ContentCopier
from rootrun.sandbox.idmap import IdMap, IdMapKind

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Losses:
    """How many paths are not what they are in the image."""

    def __init__(self) -> None:
        self.owners = self.set_ids = self.capabilities = self.attributes = self.devices = 0

    def lines(self) -> Iterator[str]:
        """Yield what was lost, a line for each kind."""
        for count, what in (
            (self.owners, "with an owner who cannot be given: given to the caller"),
            (self.set_ids, "with set-user-ID or set-group-ID: without it"),
            (self.capabilities, "with capabilities: without them"),
            (self.attributes, "with attributes that the file system refuses: without them"),
            (self.devices, "that are devices: left out"),
        ):
            if count:
                yield f"{count} path{'s' * (count > 1)} {what}"


def write_tree(
    changes: Iterable[Change], target_fd: int, *, id_map: IdMap, advance: Callable[[int], None]
) -> Losses:
    """Make ``changes``, which are a whole tree, in the empty directory ``target_fd``.

    With the id map of root, owners, set-id bits and capabilities are the image's. Else all is the
    caller's, who can remove it; a program must not run as the caller for everybody else. A device
    is left out, since no user namespace can make one. ``advance`` hears of bytes written. Raises
    OSError.
    """
    clear_inheritance(target_fd)
    with Cursor(target_fd) as here:
        writer = _Writer(here, id_map, advance)
        for change in changes:
            writer.write(change)
        return writer.finish()


class _Writer:
    """One tree, written in its order: a directory is finished when all in it is there."""

    def __init__(self, here: Cursor, id_map: IdMap, advance: Callable[[int], None]) -> None:
        self._here = here
        self._id_map = id_map
        self._is_root = id_map.kind is IdMapKind.ROOT
        self._advance = advance
        self._copier = ContentCopier()
        self._losses = Losses()
        self._unfinished: list[Entry] = []  # the directories on the way here, the root first

    def write(self, change: Change) -> None:
        """Make one path; its directory must have come before."""
        entry, name = change.entry, change.name
        if entry.path == ROOT:
            self._unfinished.append(entry)
            return
        while self._unfinished[-1].path != parent(entry.path):
            self._leave()
        if entry.type is EntryType.DIRECTORY:
            os.mkdir(name, 0o700, dir_fd=self._here.fd)
            self._here.enter(name)
            self._unfinished.append(entry)
        elif entry.type is EntryType.FILE:
            self._copy_file(change)
        elif entry.type in DEVICE_TYPES:
            self._losses.devices += 1
        else:
            self._make_special(entry, name)

    def finish(self) -> Losses:
        """Finish what is on the way, and tell what was lost."""
        while self._unfinished:
            self._leave()
        return self._losses

    def _leave(self) -> None:
        entry = self._unfinished.pop()
        fd = os.dup(self._here.fd)
        try:
            if self._unfinished:  # first of all: from a directory of mode 000 no way leads up
                self._here.leave()
            self._adorn(fd, entry)
        finally:
            os.close(fd)

    def _copy_file(self, change: Change) -> None:
        source_fd = os.open(change.name, _OPEN_FILE, dir_fd=change.directory_fd)
        try:
            target_fd = os.open(change.name, _CREATE, 0o600, dir_fd=self._here.fd)
            try:
                self._copier.copy(source_fd, target_fd, os.fstat(source_fd))
                self._adorn(target_fd, change.entry)
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)
        self._advance(change.entry.size_bytes)

    def _make_special(self, entry: Entry, name: str) -> None:
        at = self._here.fd
        if entry.type is EntryType.SYMLINK:
            os.symlink(entry.link_target, name, dir_fd=at)
            self._give_owner(name, entry)
        else:
            os.mkfifo(name, 0o600, dir_fd=at)
            self._give_owner(name, entry)
            self._set_mode(entry, lambda mode: os.chmod(name, mode, dir_fd=at))
        time_ns = entry.mtime_s * 1_000_000_000
        os.utime(name, ns=(time_ns, time_ns), dir_fd=at, follow_symlinks=False)

    def _adorn(self, fd: int, entry: Entry) -> None:
        """Give an open file or directory the metadata of ``entry``."""
        self._give_owner(fd, entry)  # before what chown(2) clears
        xattrs = dict(entry.xattrs)
        if not self._is_root and xattrs.pop(CAPABILITY, None) is not None:
            self._losses.capabilities += 1
        if xattrs and not set_xattrs(fd, xattrs):
            self._losses.attributes += 1
        self._set_mode(entry, lambda mode: os.fchmod(fd, mode))
        time_ns = entry.mtime_s * 1_000_000_000
        os.utime(fd, ns=(time_ns, time_ns))

    def _give_owner(self, target: int | str, entry: Entry) -> None:
        if (entry.uid, entry.gid) == (0, 0):
            return  # ours: we are root of the namespace
        has_owner = self._id_map.has_uid(entry.uid) and self._id_map.has_gid(entry.gid)
        if not self._is_root or not has_owner:
            self._losses.owners += 1
        elif isinstance(target, int):
            os.fchown(target, entry.uid, entry.gid)
        else:
            at = self._here.fd
            os.chown(target, entry.uid, entry.gid, dir_fd=at, follow_symlinks=False)

    def _set_mode(self, entry: Entry, chmod: Callable[[int], None]) -> None:
        is_file = entry.type is EntryType.FILE
        mode = entry.mode
        if not self._is_root:
            # The group of a directory is the caller's own, which is harmless.
            mode &= ~(SET_ID_BITS if is_file else stat.S_ISUID)
        try:
            chmod(mode)
        except PermissionError:  # the filter of a Nix build refuses the bits
            mode &= ~SET_ID_BITS
            chmod(mode)
        if mode != entry.mode:
            self._losses.set_ids += 1
