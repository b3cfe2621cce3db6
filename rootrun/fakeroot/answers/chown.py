"""The chown family: made as far as the id map goes, and remembered."""

import errno
import os
import stat
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from rootrun.fakeroot import calls
from rootrun.fakeroot.caller import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    Caller,
    no_such,
    signed,
)
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.ownership import StandIns
from rootrun.fakeroot.upper import Status, status_of
from rootrun.layer.compare import Remembered
from rootrun.layer.metadata import CAPABILITY

_KEEP = 0xFFFFFFFF
_KEEP_SHORT = 0xFFFF


class Owner(NamedTuple):
    """What a call wants; None: as it is (chown(2): -1)."""

    uid: int | None
    gid: int | None


MayChown = Callable[[Caller, int, Owner], bool | None]
"""Whether the caller may give the open file to an owner; None: that is the kernel's to say."""


def chown_answers(files: Files, may_chown: MayChown) -> Mapping[str, Handler]:
    """Return what answers the chown family."""
    return dict.fromkeys(calls.CHOWN, partial(_answer, files, may_chown))


def _answer(files: Files, may_chown: MayChown, caller: Caller, name: str) -> int | None:
    fd, owner = _operands(caller, name)
    try:
        is_allowed = may_chown(caller, fd, owner)
        if is_allowed is None:
            return None
        if not is_allowed:
            raise no_such(errno.EPERM)
        _change(fd, owner, files.stand_ins)
        status = status_of(fd)
        left = _left(files.recall(fd, status), status)
        files.note(fd, left._replace(uid=owner.uid, gid=owner.gid), status)
    finally:
        os.close(fd)
    return 0


def _left(recalled: Remembered | None, status: Status) -> Remembered:
    """Return what is known of a file but its owner, and not taken away by the call."""
    if recalled is None or stat.S_ISDIR(status.mode):
        return Remembered()
    # A device of the base is one of the run from here on: its record goes by the path.
    device, rdev = recalled.device, recalled.rdev
    set_ids, xattrs = recalled.set_ids, recalled.xattrs
    if set_ids is not None:
        # setattr_should_drop_sgid: without execution by the group it was mandatory locking once.
        set_ids &= 0 if status.mode & stat.S_IXGRP else stat.S_ISGID
    if xattrs is not None:
        xattrs = {name: value for name, value in xattrs.items() if name != CAPABILITY}
    return Remembered(device=device, rdev=rdev, set_ids=set_ids, xattrs=xattrs)


def _change(fd: int, owner: Owner, stand_ins: StandIns | None) -> None:
    """Make the call, as far as the id map has the ids.

    In any case the file is copied up by it, and loses its set-id bits and capabilities, as on any
    Linux.
    """
    path = f"/proc/self/fd/{fd}"  # leads to a symlink itself, if it was opened
    if stand_ins is None:
        os.chown(path, -1, -1)  # to the one id that all have
        return
    uid = -1 if owner.uid is None else min(owner.uid, stand_ins.uid)
    gid = -1 if owner.gid is None else min(owner.gid, stand_ins.gid)
    os.chown(path, uid, gid)


def _operands(caller: Caller, name: str) -> tuple[int, Owner]:
    first, second, third, fourth, flags, _ = caller.arguments
    is_short = caller.has_short_ids and name in calls.SHORT_IDS
    if name == "fchownat":
        if flags & 0xFFFFFFFF & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
            raise no_such(errno.EINVAL)
        fd = caller.named(
            signed(first),
            caller.path_at(second),
            follow=not flags & AT_SYMLINK_NOFOLLOW,
            may_be_empty=bool(flags & AT_EMPTY_PATH),
        )
        return fd, Owner(_id(third), _id(fourth))
    owner = Owner(_id(second, is_short=is_short), _id(third, is_short=is_short))
    if name.startswith("fchown"):
        return caller.writable(signed(first)), owner
    follow = not name.startswith("lchown")
    path = caller.path_at(first)
    return caller.named(AT_FDCWD, path, follow=follow, may_be_empty=False), owner


def _id(argument: int, *, is_short: bool = False) -> int | None:
    keep = _KEEP_SHORT if is_short else _KEEP
    number = argument & keep
    return None if number == keep else number
