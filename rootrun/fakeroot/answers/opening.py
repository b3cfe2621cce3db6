"""The open family: what a call wants."""

import os
import struct

from rootrun.fakeroot.caller import AT_FDCWD, Caller, signed
from rootrun.fakeroot.permission import READ, WRITE
from rootrun.namedtuple import NamedTuple

_TMPFILE = 0o20000000  # __O_TMPFILE
_OPEN_HOW = struct.Struct("=QQQ")  # flags, mode, resolve
_CREAT_FLAGS = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
_WANTED = {os.O_RDONLY: READ, os.O_WRONLY: WRITE}


class Opening(NamedTuple):
    """What an open call wants; ``directory`` is a number of the caller's."""

    directory: int
    path: bytes
    flags: int
    mode: int

    @property
    def makes_file(self) -> bool:
        """Whether a file is made, if there is none."""
        return bool(self.flags & (os.O_CREAT | _TMPFILE))

    @property
    def is_nameless(self) -> bool:
        """Whether a file without a name is made (O_TMPFILE)."""
        return bool(self.flags & _TMPFILE)

    @property
    def follows(self) -> bool:
        """Whether a symlink at the end of the path counts as what it leads to."""
        is_new = self.flags & os.O_CREAT and self.flags & os.O_EXCL
        return not is_new and not self.flags & os.O_NOFOLLOW

    @property
    def wanted(self) -> int:
        """The permissions that are needed of what is there already."""
        if self.flags & os.O_PATH:
            return 0
        wanted = _WANTED.get(self.flags & os.O_ACCMODE, READ | WRITE)
        return wanted | WRITE if self.flags & os.O_TRUNC else wanted


def may_make_file(caller: Caller, name: str) -> bool:
    """Say whether the call may make a file, without reading its path."""
    if name in ("creat", "openat2"):
        return True
    flags = caller.arguments[1 if name == "open" else 2]
    return bool(flags & (os.O_CREAT | _TMPFILE))


def opening_of(caller: Caller, name: str) -> Opening | None:
    """Return what the call wants, None if it is best left alone."""
    first, second, third, fourth, *_ = caller.arguments
    if name == "creat":
        return Opening(AT_FDCWD, caller.path_at(first), _CREAT_FLAGS, second & 0o7777)
    if name == "open":
        return Opening(AT_FDCWD, caller.path_at(first), second & 0xFFFFFFFF, third & 0o7777)
    if name == "openat2":
        flags, mode, resolve = _OPEN_HOW.unpack(caller.read(third, _OPEN_HOW.size))
        if resolve:
            return None
    else:
        flags, mode = third & 0xFFFFFFFF, fourth
    return Opening(signed(first), caller.path_at(second), flags, mode & 0o7777)
