"""The chown family: made as far as the id map goes, and remembered."""

import errno
import os
from typing import NamedTuple

from rootrun.fakeroot.caller import AT_FDCWD, Caller, signed
from rootrun.fakeroot.calls import AUDIT_ARCH_I386
from rootrun.fakeroot.ownership import OwnershipMemory
from rootrun.fakeroot.upper import UpperTree
from rootrun.sandbox.notify import Notification

AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000

_KEEP = 0xFFFFFFFF
_KEEP_16 = 0xFFFF
_OF_16_BITS = {"chown", "lchown", "fchown"}  # on i386


class Owner(NamedTuple):
    """What a call wants; None: as it is (chown(2): -1)."""

    uid: int | None
    gid: int | None


def answer_chown(
    caller: Caller,
    notification: Notification,
    name: str,
    *,
    tree: UpperTree,
    memory: OwnershipMemory,
) -> None:
    """Do what the chown call ``name`` asks for; raise the ``OSError`` it ends with."""
    fd, owner = _operands(caller, notification, name)
    try:
        _change(fd, owner)
        if tree.has(os.fstat(fd)):  # nothing else gets into a layer
            memory.remember(tree.key(fd), uid=owner.uid, gid=owner.gid)
    finally:
        os.close(fd)


def _change(fd: int, owner: Owner) -> None:
    """Make the call, as far as the id map has the ids.

    In any case the file is copied up by it, and loses its set-id bits and capabilities, as on any
    Linux.
    """
    path = f"/proc/self/fd/{fd}"  # leads to a symlink itself, if it was opened
    uid, gid = (-1 if number is None else number for number in owner)
    try:
        os.chown(path, uid, gid)
    except OSError as error:
        if error.errno != errno.EINVAL:  # what it is for an id that the map has not
            raise
        os.chown(path, -1, -1)


def _operands(caller: Caller, notification: Notification, name: str) -> tuple[int, Owner]:
    first, second, third, fourth, flags, _ = notification.arguments
    is_short = notification.arch == AUDIT_ARCH_I386 and name in _OF_16_BITS
    if name.startswith("fchownat"):
        if flags & 0xFFFFFFFF & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        path = caller.path_at(second)
        fd = caller.named(
            signed(first),
            path,
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
    keep = _KEEP_16 if is_short else _KEEP
    number = argument & keep
    return None if number == keep else number
