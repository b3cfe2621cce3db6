"""Who may do what with a file, by the rules of path_resolution(7): values alone."""

import errno
import stat

from rootrun.fakeroot.caller import no_such
from rootrun.fakeroot.credentials import (
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_FOWNER,
    CAP_FSETID,
    NO_SETUID_FIXUP,
    Credentials,
)
from rootrun.namedtuple import NamedTuple

READ, WRITE, SEARCH = 4, 2, 1


class Known(NamedTuple):
    """The truth about a file, ids as in the container; ``mode`` with its format."""

    uid: int
    gid: int
    mode: int


def check_access(credentials: Credentials, known: Known, wanted: int) -> None:
    """Apply the permission bits: EACCES for what they deny."""
    if credentials.has(CAP_DAC_OVERRIDE):
        return
    if credentials.uids.file_system == known.uid:
        granted = known.mode >> 6
    elif is_in_group(credentials, known.gid):
        granted = known.mode >> 3
    else:
        granted = known.mode
    if credentials.has(CAP_DAC_READ_SEARCH):
        granted |= READ | (SEARCH if stat.S_ISDIR(known.mode) else 0)
    if wanted & ~granted & 7:
        raise no_such(errno.EACCES)


def may_access(credentials: Credentials, known: Known, wanted: int) -> bool:
    """Say whether ``check_access`` lets it be."""
    try:
        check_access(credentials, known, wanted)
    except PermissionError:
        return False
    return True


def check_owner(credentials: Credentials, known: Known) -> None:
    """Raise EPERM for who may not act as the owner (inode_owner_or_capable)."""
    if credentials.uids.file_system != known.uid and not credentials.has(CAP_FOWNER):
        raise no_such(errno.EPERM)


def check_removal(credentials: Credentials, parent: Known, known: Known) -> None:
    """Raise what unlink(2) does for who may not take a name out of ``parent`` (may_delete)."""
    check_access(credentials, parent, WRITE | SEARCH)
    is_sticky = parent.mode & stat.S_ISVTX
    if is_sticky and credentials.uids.file_system != parent.uid:
        check_owner(credentials, known)


def check_link(credentials: Credentials, known: Known) -> None:
    """Raise EPERM for a file that has to have no other names (fs.protected_hardlinks = 1)."""
    runs_as_group = known.mode & stat.S_ISGID and known.mode & stat.S_IXGRP
    is_harmless = stat.S_ISREG(known.mode) and not known.mode & stat.S_ISUID and not runs_as_group
    if not is_harmless or not may_access(credentials, known, READ | WRITE):
        check_owner(credentials, known)


def mode_given(credentials: Credentials, known: Known, mode: int) -> int:
    """Return what chmod(2) makes of ``mode``: another's group is given away without a word."""
    if is_in_group(credentials, known.gid) or credentials.has(CAP_FSETID):
        return mode
    return mode & ~stat.S_ISGID


def is_in_group(credentials: Credentials, gid: int) -> bool:
    """Say whether a file of group ``gid`` is the process's own by that."""
    return gid == credentials.gids.file_system or gid in credentials.groups


def with_real_ids(credentials: Credentials) -> Credentials:
    """Return who access(2) asks for."""
    uid, gid, effective = credentials.uids.real, credentials.gids.real, credentials.effective
    if not credentials.securebits & NO_SETUID_FIXUP:
        effective = 0 if uid else credentials.permitted
    return credentials._replace(
        uids=credentials.uids._replace(file_system=uid),
        gids=credentials.gids._replace(file_system=gid),
        effective=effective,
    )
