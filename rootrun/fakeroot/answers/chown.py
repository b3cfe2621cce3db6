"""The chown family: made as far as the id map goes, and remembered."""

import errno
import os
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
from rootrun.fakeroot.files import Files, without_privileges
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.ownership import StandIns
from rootrun.fakeroot.upper import status_of

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
        left = without_privileges(files.recall(fd, status), status)
        files.note(fd, left._replace(uid=owner.uid, gid=owner.gid), status)
    finally:
        os.close(fd)
    return 0


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
