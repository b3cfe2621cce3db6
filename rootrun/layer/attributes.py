"""Owners and extended attributes on disk: set what can be set, tell what could not."""

import errno
import os
import stat
from collections.abc import Mapping

from rootrun.layer.checksum import NOTHING_HELD, Held
from rootrun.layer.entry import Entry, EntryPath, is_kept_xattr, name_bytes
from rootrun.layer.metadata import CAPABILITY, portable_capability
from rootrun.layer.record import IdRanges

KEEP = -1
"""Leaves an owner as it is (chown(2))."""

# What setxattr(2) says where the attribute cannot be, by the file system or by right.
# ext4 says ENOSPC for what does not fit into the one block that it has for attributes.
_NOT_STORABLE = frozenset(
    {
        errno.ENOTSUP,
        errno.EPERM,
        errno.EACCES,
        errno.EINVAL,
        errno.E2BIG,
        errno.ERANGE,
        errno.ENOSPC,
    }
)

# The names of a file's attributes, each with its NUL. listxattr(2) says E2BIG beyond 65536, and
# is asked for whatever is unpacked; the rest is for what the kernel and overlayfs add.
_LISTED_BYTES = 60_000


class Owners:
    """Gives files their owners as far as ``ids`` reach."""

    def __init__(self, ids: IdRanges) -> None:
        self._ids = ids
        self._own = (os.geteuid(), os.getegid())
        self._possible: dict[tuple[int, int], tuple[int, int]] = {}
        self._held: dict[tuple[int, int], Held] = {}
        self._new = ""
        self._new_held = NOTHING_HELD

    def settle(
        self, target: int | str, entry: Entry, *, path: EntryPath, directory_fd: int
    ) -> tuple[bool, Held]:
        """Give the new file ``path`` as ``give`` does; return the same, and whose it is on disk.

        No file is looked at whose owner is known: it was set, or it is that of the last one
        made in the same directory (which decides where the mount option is grpid, ext4(5)).
        """
        wanted = (entry.uid, entry.gid)
        held = self._held.get(wanted)
        if wanted != self._own:
            if self.change(target, wanted, directory_fd=directory_fd):
                if held is None:
                    held = self._held[wanted] = Held(*wanted)
                return True, held
            if self._possible[wanted] != (KEEP, KEEP):  # one of the two may be set
                return False, _held_by(target, directory_fd)
        directory = path[: path.rfind("/") + 1] or "/"
        if directory != self._new:
            self._new, self._new_held = directory, _held_by(target, directory_fd)
        return wanted == self._own, self._new_held

    def forget_new(self) -> None:
        """Forget whose a new file is: a directory came, went, or was given away."""
        self._new = ""

    def give(self, target: int | str, entry: Entry, *, directory_fd: int | None = None) -> bool:
        """Make a new file the entry's user's and group's; say whether it is theirs now.

        ``target`` is a descriptor, or a name in ``directory_fd`` that is not followed.
        """
        wanted = (entry.uid, entry.gid)
        return wanted == self._own or self.change(target, wanted, directory_fd=directory_fd)

    def change(
        self, target: int | str, wanted: tuple[int, int], *, directory_fd: int | None = None
    ) -> bool:
        """Do the same for a file that may belong to somebody else already."""
        possible = self._possible.get(wanted)
        if possible is None:
            uid, gid = wanted
            possible = (
                uid if self._ids.has_uid(uid) else KEEP,
                gid if self._ids.has_gid(gid) else KEEP,
            )
            self._possible[wanted] = possible
        if possible == (KEEP, KEEP):
            return False
        try:
            if isinstance(target, int):
                os.chown(target, *possible)
            else:
                os.chown(target, *possible, dir_fd=directory_fd, follow_symlinks=False)
        except OSError as error:
            # EINVAL: the map has changed or was guessed; EPERM: there is no namespace.
            if error.errno not in (errno.EPERM, errno.EINVAL):
                raise
            return False
        return possible == wanted


def _held_by(target: int | str, directory_fd: int) -> Held:
    is_fd = isinstance(target, int)
    status = os.stat(target, dir_fd=None if is_fd else directory_fd, follow_symlinks=is_fd)
    return Held(status.st_uid, status.st_gid)


def kept_of(entry: Entry) -> dict[str, bytes]:
    """Return the attributes of ``entry`` that a layer keeps, capabilities in portable form."""
    return {
        name: portable_capability(value) if name == CAPABILITY else value
        for name, value in entry.xattrs.items()
        if is_kept_xattr(name)
    }


def set_xattrs(fd: int, xattrs: Mapping[str, bytes]) -> bool:
    """Set ``xattrs`` on an open file; say whether all of them are there now."""
    is_complete = True
    names_bytes = 0
    for name, value in xattrs.items():
        names_bytes += len(name_bytes(name)) + 1
        if names_bytes > _LISTED_BYTES:
            return False
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            if error.errno not in _NOT_STORABLE:
                raise
            is_complete = False
    return is_complete


def clear_xattrs(fd: int) -> None:
    """Remove the attributes that a layer keeps: a second entry for a path replaces them."""
    for name in os.listxattr(fd):
        if is_kept_xattr(name):
            os.removexattr(fd, name)


def clear_inheritance(fd: int) -> None:
    """Rid a directory of what the host's directory above it hands down: ACLs and setgid."""
    os.fchmod(fd, stat.S_IRWXU)
    for name in ("system.posix_acl_access", "system.posix_acl_default"):
        try:
            os.removexattr(fd, name)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise


def set_directory_mode(fd: int, mode: int) -> int:
    """Set the mode of a directory and return the one that it has now.

    It lacks setgid where a seccomp filter forbids such modes (EPERM, in a Nix
    build) and where the group is not ours (inode_owner_or_capable: cleared in silence).
    """
    try:
        os.fchmod(fd, mode)
    except PermissionError:
        if not mode & (stat.S_ISUID | stat.S_ISGID):
            raise
        os.fchmod(fd, mode & ~(stat.S_ISUID | stat.S_ISGID))
    if mode & (stat.S_ISUID | stat.S_ISGID):
        return stat.S_IMODE(os.fstat(fd).st_mode)
    return mode
