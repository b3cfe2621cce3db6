"""The stat family: the kernel's own answer, with the owner and the device that are remembered."""

import os
import stat
import struct

from rootrun.fakeroot.caller import AT_FDCWD, Caller, signed
from rootrun.fakeroot.calls import AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64
from rootrun.fakeroot.calls_chown import AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW
from rootrun.fakeroot.owners import Owners
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import EntryType
from rootrun.sandbox import syscalls
from rootrun.sandbox.notify import Notification
from rootrun.sandbox.process_memory import write_memory

_FORMATS = {EntryType.CHARACTER_DEVICE: stat.S_IFCHR, EntryType.BLOCK_DEVICE: stat.S_IFBLK}
_NS = 1_000_000_000
# struct stat: asm/stat.h of each architecture.
_STAT_X86_64 = struct.Struct("=QQQIII4xQqqq6q24x")
_STAT_AARCH64 = struct.Struct("=QQIIIIQ8xqi4xq6q8x")
# struct statx: uid, gid and mode stand together, the device's numbers behind the times.
_STATX_OWNER = struct.Struct("=IIH")
_STATX_OWNER_OFFSET = 20
_STATX_RDEV = struct.Struct("=II")
_STATX_RDEV_OFFSET = 128


def answer_stat(caller: Caller, notification: Notification, name: str, *, owners: Owners) -> bool:
    """Answer the call ``name`` where more is known than the disk says.

    False: the kernel's own answer is the right one.
    """
    if name != "statx" and notification.arch not in (AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64):
        return False
    if owners.are_all_on_disk:
        return False
    fd = _operand(caller, notification, name)
    try:
        known = owners.find(fd)
        if known is None:
            return False
        if name == "statx":
            content, address = _statx(fd, notification, known), notification.arguments[4]
        else:
            content = _stat(os.fstat(fd), known, notification.arch)
            address = notification.arguments[2 if name == "newfstatat" else 1]
    finally:
        os.close(fd)
    write_memory(caller.pid, address, content)
    return True


def _operand(caller: Caller, notification: Notification, name: str) -> int:
    first, second, third, fourth, *_ = notification.arguments
    if name == "fstat":
        return caller.descriptor(signed(first))
    if name in ("stat", "lstat"):
        path = caller.path_at(first)
        return caller.named(AT_FDCWD, path, follow=name == "stat", may_be_empty=False)
    flags = third if name == "statx" else fourth
    # Since Linux 6.11 no path at all means the empty one, with AT_EMPTY_PATH.
    path = caller.path_at(second) if second or not flags & AT_EMPTY_PATH else b""
    return caller.named(
        signed(first),
        path,
        follow=not flags & AT_SYMLINK_NOFOLLOW,
        may_be_empty=bool(flags & AT_EMPTY_PATH),
    )


def _mode(mode: int, known: Remembered) -> int:
    return mode if known.device is None else stat.S_IMODE(mode) | _FORMATS[known.device]


def _stat(status: os.stat_result, known: Remembered, arch: int) -> bytes:
    mode = _mode(status.st_mode, known)
    uid = status.st_uid if known.uid is None else known.uid
    gid = status.st_gid if known.gid is None else known.gid
    rdev = os.makedev(*known.rdev) if known.device else status.st_rdev
    size = (status.st_size, status.st_blksize, status.st_blocks)
    times = (
        *divmod(status.st_atime_ns, _NS),
        *divmod(status.st_mtime_ns, _NS),
        *divmod(status.st_ctime_ns, _NS),
    )
    place = (status.st_dev, status.st_ino)
    if arch == AUDIT_ARCH_X86_64:
        return _STAT_X86_64.pack(*place, status.st_nlink, mode, uid, gid, rdev, *size, *times)
    return _STAT_AARCH64.pack(*place, mode, status.st_nlink, uid, gid, rdev, *size, *times)


def _statx(fd: int, notification: Notification, known: Remembered) -> bytes:
    flags, mask = notification.arguments[2] & 0xFFFFFFFF, notification.arguments[3] & 0xFFFFFFFF
    content = bytearray(
        syscalls.statx(fd, b"", flags=flags & ~AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, mask=mask)
    )
    uid, gid, mode = _STATX_OWNER.unpack_from(content, _STATX_OWNER_OFFSET)
    uid = uid if known.uid is None else known.uid
    gid = gid if known.gid is None else known.gid
    _STATX_OWNER.pack_into(content, _STATX_OWNER_OFFSET, uid, gid, _mode(mode, known))
    if known.device is not None:
        _STATX_RDEV.pack_into(content, _STATX_RDEV_OFFSET, *known.rdev)
    return bytes(content)
