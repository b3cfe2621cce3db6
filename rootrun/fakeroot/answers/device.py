"""mknod: an empty file stands for a device, and it is remembered what it is."""

import errno
import os
import stat
from collections.abc import Callable, Mapping
from functools import partial

from rootrun.fakeroot import calls
from rootrun.fakeroot.caller import AT_FDCWD, Caller, no_such, signed
from rootrun.fakeroot.credentials import Credentials
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.newborn import Newborn, Origin
from rootrun.layer.entry import EntryType

_TYPES = {stat.S_IFCHR: EntryType.CHARACTER_DEVICE, stat.S_IFBLK: EntryType.BLOCK_DEVICE}
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SET_IDS = stat.S_ISUID | stat.S_ISGID


def mknod_answers(
    files: Files,
    creator_of: Callable[[Caller], Credentials],
    may_make_devices: Callable[[Caller], bool | None],
) -> Mapping[str, Handler]:
    """Return what answers mknod; None of ``may_make_devices`` leaves it to the kernel."""
    newborn = Newborn(files, creator_of)
    return dict.fromkeys(calls.MKNOD, partial(_answer, newborn, may_make_devices))


def _answer(
    newborn: Newborn,
    may_make_devices: Callable[[Caller], bool | None],
    caller: Caller,
    name: str,
) -> int | None:
    first, *rest = caller.arguments
    directory, (address, mode, number, *_) = (
        (signed(first), rest) if name == "mknodat" else (AT_FDCWD, [first, *rest])
    )
    mode, number, path = mode & 0xFFFF, number & 0xFFFFFFFF, caller.path_at(address)
    if path.endswith(b"/"):
        return None  # ENOENT or EEXIST, by the kernel's own rules
    kind = _TYPES.get(stat.S_IFMT(mode))
    is_allowed = may_make_devices(caller) if kind else True
    if is_allowed is None or (kind is EntryType.CHARACTER_DEVICE and not number):
        return None  # 0:0 is a whiteout
    if not is_allowed:
        raise no_such(errno.EPERM)
    with newborn.place(caller, directory, path, is_always_ours=kind is not None) as origin:
        if origin is None:
            return None
        newborn.check_new(origin)
        if kind is None:
            with caller.applied_umask():
                os.mknod(origin.leaf, mode, dir_fd=origin.parent)
            newborn.note(origin)
        else:
            rdev = (os.major(number), os.minor(number))
            _make_device(
                newborn,
                caller,
                origin._replace(owner=origin.owner._replace(device=kind, rdev=rdev)),
                mode=mode,
            )
    return 0


def _make_device(newborn: Newborn, caller: Caller, origin: Origin, *, mode: int) -> None:
    with caller.applied_umask():
        fd = os.open(origin.leaf, _NEW_FILE, mode & ~_SET_IDS & 0o7777, dir_fd=origin.parent)
    try:
        newborn.note_open(origin, fd)
    finally:
        os.close(fd)
