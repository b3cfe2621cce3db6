"""The stat family: the kernel's own answer, with what is remembered of the file."""

import os
import struct
from collections.abc import Mapping
from functools import partial

from rootrun.fakeroot import calls
from rootrun.fakeroot.caller import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Caller, signed
from rootrun.fakeroot.files import Files, mode_of
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.names import Names
from rootrun.fakeroot.process_owner import BELOW, owner_of_process
from rootrun.fakeroot.upper import status_of
from rootrun.layer.compare import Remembered
from rootrun.sandbox import bpf, syscalls

_NS = 1_000_000_000
_ODD = (b"", b".", b"..")
_LOW = 0xFFFFFFFF
# struct stat: asm/stat.h of each architecture. What i386 calls stat64 is packed to 4 bytes.
_STAT_X86_64 = struct.Struct("=QQQIII4xQqqq6q24x")
_STAT_AARCH64 = struct.Struct("=QQIIIIQ8xqi4xq6q8x")
_STAT64_I386 = struct.Struct("=Q4xIIIIIQ4xqIQ6IQ")
_STAT_I386 = struct.Struct("=IIHHHHIIII6I8x")
_OVERFLOW_ID = 65534  # what an id of more than 16 bits is shown as (/proc/sys/kernel/overflowuid)
_LARGEST_SHORT = 0xFFFF
# struct statx: uid, gid and mode stand together, the device's numbers behind the times.
_STATX_OWNER = struct.Struct("=IIH")
_STATX_OWNER_OFFSET = 20
_STATX_RDEV = struct.Struct("=II")
_STATX_RDEV_OFFSET = 128


def stat_answers(files: Files, identities: Identities | None) -> Mapping[str, Handler]:
    """Return what answers the stat family where more is known than the disk says."""
    return dict.fromkeys(calls.STAT, partial(_answer, files, identities))


def _answer(files: Files, identities: Identities | None, caller: Caller, name: str) -> int | None:
    if files.are_all_on_disk and not identities:
        return None
    try:
        fd = _operand(files.names, caller, name)
        if fd is None:
            return None
    except (OSError, ValueError):
        return None  # the kernel finds the same, and its own words for it
    try:
        status = status_of(fd)
        known = files.recall(fd, status)
        if known is None and identities and not files.tree.has(status):
            known = owner_of_process(identities, fd, status)
        if known is None or not caller.is_in_container_userns():
            return None
        if name == "statx":
            content, address = _statx(fd, caller, known), caller.arguments[4]
        else:
            content = _stat(os.fstat(fd), known, caller.arch, name)
            is_at = name in ("newfstatat", "fstatat64")
            address = caller.arguments[2 if is_at else 1]
    finally:
        os.close(fd)
    caller.write(address, content)
    return 0


def _operand(names: Names, caller: Caller, name: str) -> int | None:
    """Return a descriptor of what the call is about, None if it has none of ``names``."""
    first, second, third, fourth, *_ = caller.arguments
    if name in ("fstat", "fstat64"):
        return _descriptor(names, caller, signed(first))
    if name in ("stat", "lstat", "stat64", "lstat64"):
        follow = not name.startswith("lstat")
        return _named(names, caller, AT_FDCWD, caller.path_at(first), follow=follow)
    flags = third if name == "statx" else fourth
    # Since Linux 6.11 no path at all means the empty one, with AT_EMPTY_PATH.
    path = caller.path_at(second) if second or not flags & AT_EMPTY_PATH else b""
    directory = signed(first)
    if not path and flags & AT_EMPTY_PATH and directory != AT_FDCWD:
        return _descriptor(names, caller, directory)
    if not path:
        return caller.named(directory, path, follow=True, may_be_empty=bool(flags & AT_EMPTY_PATH))
    return _named(names, caller, directory, path, follow=not flags & AT_SYMLINK_NOFOLLOW)


def _descriptor(names: Names, caller: Caller, number: int) -> int | None:
    return caller.descriptor(number) if _is_known(names, caller.link(number)) else None


def _named(
    names: Names, caller: Caller, directory: int, path: bytes, *, follow: bool
) -> int | None:
    last = path.rpartition(b"/")[2]
    if not follow and last not in names and last not in _ODD and not last.isdigit():
        return None
    if follow and not _is_known(names, caller.seen(directory, path)):
        return None
    return caller.named(directory, path, follow=follow, may_be_empty=False)


def _is_known(names: Names, seen_at: bytes) -> bool:
    return names.has_last_of(seen_at) or seen_at.startswith(BELOW)


def _stat(status: os.stat_result, known: Remembered, arch: int, name: str) -> bytes:
    mode = mode_of(status.st_mode, known)
    uid = status.st_uid if known.uid is None else known.uid
    gid = status.st_gid if known.gid is None else known.gid
    rdev = os.makedev(*known.rdev) if known.device else status.st_rdev
    size = (status.st_size, status.st_blksize, status.st_blocks)
    times = (
        *divmod(status.st_atime_ns, _NS),
        *divmod(status.st_mtime_ns, _NS),
        *divmod(status.st_ctime_ns, _NS),
    )
    device, inode, links = status.st_dev, status.st_ino, status.st_nlink
    if arch == bpf.AUDIT_ARCH_X86_64:
        return _STAT_X86_64.pack(device, inode, links, mode, uid, gid, rdev, *size, *times)
    if arch == bpf.AUDIT_ARCH_AARCH64:
        return _STAT_AARCH64.pack(device, inode, mode, links, uid, gid, rdev, *size, *times)
    low = [number & _LOW for number in times]
    if name.endswith("64"):
        owner = (mode, links, uid, gid, rdev)
        return _STAT64_I386.pack(device, inode & _LOW, *owner, *size, *low, inode)
    owner = (mode, min(links, _LARGEST_SHORT), _short(uid), _short(gid), rdev & _LOW)
    return _STAT_I386.pack(device & _LOW, inode & _LOW, *owner, *(n & _LOW for n in size), *low)


def _short(number: int) -> int:
    return number if number <= _LARGEST_SHORT else _OVERFLOW_ID


def _statx(fd: int, caller: Caller, known: Remembered) -> bytes:
    flags, mask = caller.arguments[2] & _LOW, caller.arguments[3] & _LOW
    content = bytearray(
        syscalls.statx(fd, b"", flags=flags & ~AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, mask=mask)
    )
    uid, gid, mode = _STATX_OWNER.unpack_from(content, _STATX_OWNER_OFFSET)
    uid = uid if known.uid is None else known.uid
    gid = gid if known.gid is None else known.gid
    _STATX_OWNER.pack_into(content, _STATX_OWNER_OFFSET, uid, gid, mode_of(mode, known))
    if known.device is not None:
        _STATX_RDEV.pack_into(content, _STATX_RDEV_OFFSET, *known.rdev)
    return bytes(content)
