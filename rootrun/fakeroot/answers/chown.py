"""The chown family: made as far as the id map goes, and remembered."""

import errno
import os
from collections.abc import Callable, Mapping
from functools import partial

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
from rootrun.fakeroot.names import Names
from rootrun.fakeroot.ownership import StandIns, without_privileges
from rootrun.fakeroot.upper import path_of, status_of
from rootrun.layer.compare import Remembered
from rootrun.namedtuple import NamedTuple

_KEEP = 0xFFFFFFFF
_KEEP_SHORT = 0xFFFF


class Owner(NamedTuple):
    """What a call wants; None: as it is (chown(2): -1)."""

    uid: int | None
    gid: int | None


MayChown = Callable[[Caller, int, Owner], bool | None]
"""Whether the caller may give the open file to an owner; None: that is the kernel's to say."""


def chown_answers(
    files: Files, may_chown: MayChown, may_let_through: Callable[[Caller], bool]
) -> Mapping[str, Handler]:
    """Return what answers the chown family.

    ``may_let_through`` says whether the kernel's answer is the right one, for ids that it has and a
    file of which nothing is known.
    """
    return dict.fromkeys(calls.CHOWN, partial(_answer, files, may_chown, may_let_through))


def _answer(
    files: Files,
    may_chown: MayChown,
    may_let_through: Callable[[Caller], bool],
    caller: Caller,
    name: str,
) -> int | None:
    owner, target = _operands(caller, name)
    is_plain = _has_kernel(owner, files.stand_ins) and may_let_through(caller)
    if is_plain and not target.may_be_one_of(files.names, caller):
        return None
    fd = target.open(caller)
    try:
        may_be_known = files.names.has_last_of(path_of(fd))
        if is_plain and not may_be_known:
            return None
        is_allowed = may_chown(caller, fd, owner)
        if is_allowed is None:
            return None
        if not is_allowed:
            raise no_such(errno.EPERM)
        _change(fd, owner, files.stand_ins)
        status = status_of(fd)
        # A device of the base is one of the run from here on: its record goes by the path.
        recalled = files.recall(fd, status) if may_be_known else None
        known = without_privileges(recalled or Remembered(), status.mode)
        files.note(fd, known._replace(uid=owner.uid, gid=owner.gid), status)
    finally:
        os.close(fd)
    return 0


def _has_kernel(owner: Owner, stand_ins: StandIns | None) -> bool:
    """Say whether the kernel has the ids, and they are no stand-ins for others."""
    if stand_ins is None:
        return owner.uid in (None, 0) and owner.gid in (None, 0)
    uid, gid = (0 if number is None else number for number in owner)
    return uid < stand_ins.uid and gid < stand_ins.gid


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


class _Target(NamedTuple):
    """The file that a call is about: ``path``, or what is open as ``number`` where it is None."""

    number: int
    path: bytes | None = None
    follow: bool = False
    may_be_empty: bool = False

    def may_be_one_of(self, names: Names, caller: Caller) -> bool:
        """Say whether something may be known of it, by its name alone."""
        if self.path is None:
            return names.has_last_of(caller.link(self.number))
        last = self.path.rpartition(b"/")[2]
        return self.follow or last in names or last in (b"", b".", b"..")

    def open(self, caller: Caller) -> int:
        """Return an O_PATH descriptor."""
        if self.path is None:
            return caller.writable(self.number)
        return caller.named(
            self.number, self.path, follow=self.follow, may_be_empty=self.may_be_empty
        )


def _operands(caller: Caller, name: str) -> tuple[Owner, _Target]:
    first, second, third, fourth, flags, _ = caller.arguments
    is_short = caller.has_short_ids and name in calls.SHORT_IDS
    if name == "fchownat":
        if flags & 0xFFFFFFFF & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
            raise no_such(errno.EINVAL)
        path, follow = caller.path_at(second), not flags & AT_SYMLINK_NOFOLLOW
        target = _Target(signed(first), path, follow, bool(flags & AT_EMPTY_PATH))
        return Owner(_id(third), _id(fourth)), target
    owner = Owner(_id(second, is_short=is_short), _id(third, is_short=is_short))
    if name.startswith("fchown"):
        return owner, _Target(signed(first))
    return owner, _Target(AT_FDCWD, caller.path_at(first), not name.startswith("lchown"))


def _id(argument: int, *, is_short: bool = False) -> int | None:
    keep = _KEEP_SHORT if is_short else _KEEP
    number = argument & keep
    return None if number == keep else number
