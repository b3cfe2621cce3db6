"""Who a process is, and what its calls make of that: values, by the rules of credentials(7).

The functions have the names of the system calls. They take ids as the calls do, with ``KEEP`` for
-1, and return the new credentials or raise ``OSError``.
"""

import errno
import os

from rootrun.namedtuple import NamedTuple

KEEP = 0xFFFFFFFF  # (uid_t) -1
CAP_CHOWN = 1 << 0
CAP_DAC_OVERRIDE = 1 << 1
CAP_DAC_READ_SEARCH = 1 << 2
CAP_FOWNER = 1 << 3
CAP_FSETID = 1 << 4
CAP_KILL = 1 << 5
CAP_SETGID = 1 << 6
CAP_SETUID = 1 << 7
CAP_SETPCAP = 1 << 8
CAP_NET_BIND_SERVICE = 1 << 10
CAP_SYS_CHROOT = 1 << 18
CAP_SYS_ADMIN = 1 << 21
CAP_SYS_BOOT = 1 << 22
CAP_MKNOD = 1 << 27
CAP_SETFCAP = 1 << 31
ALL_CAPABILITIES = (1 << 41) - 1  # up to CAP_CHECKPOINT_RESTORE, the last one since Linux 5.9
MOST_GROUPS = 65536  # NGROUPS_MAX

# securebits(7): what capabilities(7) tells of root does not hold
NO_ROOT = 1 << 0
NO_SETUID_FIXUP = 1 << 2
KEEP_CAPS = 1 << 4

# Of files, and lost with a file system uid of 0: CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH,
# CAP_FOWNER, CAP_FSETID, CAP_LINUX_IMMUTABLE, CAP_MKNOD, CAP_MAC_OVERRIDE.
_FILE_CAPABILITIES = sum(1 << number for number in (0, 1, 2, 3, 4, 9, 27, 32))


class Ids(NamedTuple):
    """The four uids of a process, or its four gids."""

    real: int = 0
    effective: int = 0
    saved: int = 0
    file_system: int = 0


class Credentials(NamedTuple):
    """What a process is and may. Capabilities are masks, bit N for number N."""

    uids: Ids = Ids()
    gids: Ids = Ids()
    groups: tuple[int, ...] = ()  # supplementary, in ascending order
    permitted: int = ALL_CAPABILITIES
    effective: int = ALL_CAPABILITIES
    inheritable: int = 0
    securebits: int = 0
    has_no_new_privs: bool = False

    def has(self, capability: int) -> bool:
        """Say whether one of ``CAP_*`` is effective."""
        return bool(self.effective & capability)


ROOT = Credentials()
"""As a step of the container starts."""


def setuid(credentials: Credentials, uid: int) -> Credentials:
    """Follow setuid(2)."""
    return _with_uids(credentials, _set_one(credentials.uids, uid, is_free=_may_uids(credentials)))


def setreuid(credentials: Credentials, real: int, effective: int) -> Credentials:
    """Follow setreuid(2)."""
    new = _set_two(credentials.uids, real, effective, is_free=_may_uids(credentials))
    return _with_uids(credentials, new)


def setresuid(credentials: Credentials, real: int, effective: int, saved: int) -> Credentials:
    """Follow setresuid(2)."""
    new = _set_three(credentials.uids, (real, effective, saved), is_free=_may_uids(credentials))
    return _with_uids(credentials, new)


def setfsuid(credentials: Credentials, uid: int) -> Credentials:
    """Follow setfsuid(2), which does not fail: it returns the old one, of the old credentials."""
    new = _set_file_system(credentials.uids, uid, is_free=_may_uids(credentials))
    changed = credentials._replace(uids=new)
    if credentials.securebits & NO_SETUID_FIXUP:
        return changed
    effective = credentials.effective
    if credentials.uids.file_system == 0 != new.file_system:
        effective &= ~_FILE_CAPABILITIES
    elif credentials.uids.file_system != 0 == new.file_system:
        effective |= credentials.permitted & _FILE_CAPABILITIES
    return changed._replace(effective=effective)


def setgid(credentials: Credentials, gid: int) -> Credentials:
    """Follow setgid(2)."""
    new = _set_one(credentials.gids, gid, is_free=_may_gids(credentials))
    return credentials._replace(gids=new)


def setregid(credentials: Credentials, real: int, effective: int) -> Credentials:
    """Follow setregid(2)."""
    new = _set_two(credentials.gids, real, effective, is_free=_may_gids(credentials))
    return credentials._replace(gids=new)


def setresgid(credentials: Credentials, real: int, effective: int, saved: int) -> Credentials:
    """Follow setresgid(2)."""
    new = _set_three(credentials.gids, (real, effective, saved), is_free=_may_gids(credentials))
    return credentials._replace(gids=new)


def setfsgid(credentials: Credentials, gid: int) -> Credentials:
    """Follow setfsgid(2), as ``setfsuid`` does."""
    new = _set_file_system(credentials.gids, gid, is_free=_may_gids(credentials))
    return credentials._replace(gids=new)


def setgroups(credentials: Credentials, groups: tuple[int, ...]) -> Credentials:
    """Follow setgroups(2). The kernel sorts them, and keeps what is there twice."""
    if not _may_gids(credentials):
        raise _error(errno.EPERM)
    if len(groups) > MOST_GROUPS or KEEP in groups:
        raise _error(errno.EINVAL)
    return credentials._replace(groups=tuple(sorted(groups)))


def capset(
    credentials: Credentials, *, effective: int, permitted: int, inheritable: int
) -> Credentials:
    """Follow capset(2), with nothing dropped from the bounding set; unknown bits are ignored."""
    effective &= ALL_CAPABILITIES
    permitted &= ALL_CAPABILITIES
    inheritable &= ALL_CAPABILITIES
    may_inherit = credentials.inheritable | credentials.permitted
    if inheritable & ~may_inherit and not credentials.has(CAP_SETPCAP):
        raise _error(errno.EPERM)
    if permitted & ~credentials.permitted or effective & ~permitted:
        raise _error(errno.EPERM)
    return credentials._replace(effective=effective, permitted=permitted, inheritable=inheritable)


def set_securebits(credentials: Credentials, securebits: int) -> Credentials:
    """Follow PR_SET_SECUREBITS(2const) but for the locks, which the kernel knows."""
    if not credentials.has(CAP_SETPCAP):
        raise _error(errno.EPERM)
    return credentials._replace(securebits=securebits & (NO_ROOT | NO_SETUID_FIXUP | KEEP_CAPS))


def set_keepcaps(credentials: Credentials, *, keeps: bool) -> Credentials:
    """Follow PR_SET_KEEPCAPS(2const)."""
    rest = credentials.securebits & ~KEEP_CAPS
    return credentials._replace(securebits=rest | KEEP_CAPS if keeps else rest)


def set_no_new_privs(credentials: Credentials) -> Credentials:
    """Follow PR_SET_NO_NEW_PRIVS(2const)."""
    return credentials._replace(has_no_new_privs=True)


def after_exec(
    credentials: Credentials, *, set_uid: int | None = None, set_gid: int | None = None
) -> Credentials:
    """Return what a process is once it executed a program without capabilities of its own.

    ``set_uid`` is the owner of a set-user-ID program, ``set_gid`` the group of a set-group-ID one,
    if it may gain them.
    By execve(2), and "Capabilities and execution of programs by root" in capabilities(7).
    """
    uids, gids = credentials.uids, credentials.gids
    euid = uids.effective if set_uid is None else set_uid
    egid = gids.effective if set_gid is None else set_gid
    is_rooted = not credentials.securebits & NO_ROOT
    permitted = ALL_CAPABILITIES if is_rooted and 0 in (euid, uids.real) else 0
    if credentials.has_no_new_privs:
        permitted &= credentials.permitted
    return credentials._replace(
        uids=Ids(uids.real, euid, euid, euid),
        gids=Ids(gids.real, egid, egid, egid),
        permitted=permitted,
        effective=permitted if is_rooted and euid == 0 else 0,
        securebits=credentials.securebits & ~KEEP_CAPS,
    )


def _may_uids(credentials: Credentials) -> bool:
    return credentials.has(CAP_SETUID)


def _may_gids(credentials: Credentials) -> bool:
    return credentials.has(CAP_SETGID)


def _set_one(ids: Ids, wanted: int, *, is_free: bool) -> Ids:
    if wanted == KEEP:
        raise _error(errno.EINVAL)
    if is_free:
        return Ids(wanted, wanted, wanted, wanted)
    _check(wanted, (ids.real, ids.saved))
    return ids._replace(effective=wanted, file_system=wanted)


def _set_two(ids: Ids, real: int, effective: int, *, is_free: bool) -> Ids:
    if not is_free:
        _check(real, (ids.real, ids.effective))
        _check(effective, ids[:3])
    new_effective = ids.effective if effective == KEEP else effective
    # The saved one follows a real one that is given, and an effective one that the real one is not.
    follows = real != KEEP or effective not in (KEEP, ids.real)
    return Ids(
        real=ids.real if real == KEEP else real,
        effective=new_effective,
        saved=new_effective if follows else ids.saved,
        file_system=new_effective,
    )


def _set_three(ids: Ids, wanted: tuple[int, int, int], *, is_free: bool) -> Ids:
    real, effective, saved = (
        old if new == KEEP else new for old, new in zip(ids[:3], wanted, strict=True)
    )
    # Nothing to change: only an effective one that is given has the file system's follow.
    if (real, effective, saved) == ids[:3] and wanted[1] in (KEEP, ids.file_system):
        return ids
    if not is_free:
        for new in wanted:
            _check(new, ids[:3])
    return Ids(real, effective, saved, effective)


def _set_file_system(ids: Ids, wanted: int, *, is_free: bool) -> Ids:
    if wanted == KEEP or not (is_free or wanted in ids):
        return ids
    return ids._replace(file_system=wanted)


def _check(wanted: int, allowed: tuple[int, ...]) -> None:
    if wanted != KEEP and wanted not in allowed:
        raise _error(errno.EPERM)


def _with_uids(credentials: Credentials, new: Ids) -> Credentials:
    """Follow "Effect of user ID changes on capabilities" in capabilities(7)."""
    old = credentials.uids
    changed = credentials._replace(uids=new)
    if credentials.securebits & NO_SETUID_FIXUP:
        return changed
    permitted, effective = credentials.permitted, credentials.effective
    if 0 in old[:3] and 0 not in new[:3] and not credentials.securebits & KEEP_CAPS:
        permitted = effective = 0
    if old.effective == 0 != new.effective:
        effective = 0
    elif old.effective != 0 == new.effective:
        effective = permitted
    return changed._replace(permitted=permitted, effective=effective)


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))
