"""The calls about extended attributes: what they name, and how they answer (xattr(7))."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rootrun.fakeroot.caller import AT_FDCWD, Caller, no_such, signed
from rootrun.fakeroot.upper import Status, status_of

_LONGEST_NAME = 255  # XATTR_NAME_MAX
_ROOM = 64 << 20
_OVERHEAD = 128  # of an attribute, in Python


class Room:
    """How much of attributes is remembered at most, in bytes and over the whole run.

    What a deleted file had is not given back: a script that uses it up makes attributes for their
    own sake.
    """

    def __init__(self) -> None:
        self._left = _ROOM

    def take(self, attribute: str, value: bytes, *, old: bytes | None) -> None:
        """Make room for a value in the place of ``old``, None for none; ENOSPC if there is none."""
        needed = len(value) - len(old) if old is not None else _cost(attribute, value)
        if needed > self._left:
            raise no_such(errno.ENOSPC)
        self._left -= needed

    def give_back(self, attribute: str, value: bytes) -> None:
        """Take it that a value was removed."""
        self._left += _cost(attribute, value)


def attribute_of(caller: Caller) -> str:
    """Return the name that a call is about: its second argument. ERANGE: it is none."""
    try:
        attribute = caller.path_at(caller.arguments[1])
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise no_such(errno.ERANGE) from error
        raise
    if not 0 < len(attribute) <= _LONGEST_NAME:
        raise no_such(errno.ERANGE)
    return os.fsdecode(attribute)


def flags_of(caller: Caller) -> int:
    """Return the flags of a call that sets an attribute; EINVAL for unknown ones."""
    flags = caller.arguments[4] & 0xFFFFFFFF
    if flags & ~(os.XATTR_CREATE | os.XATTR_REPLACE):
        raise no_such(errno.EINVAL)
    return flags


@contextmanager
def operand(caller: Caller, name: str) -> Iterator[tuple[int, Status]]:
    """Yield an O_PATH descriptor of the file that the call ``name`` is about, and its status."""
    first = caller.arguments[0]
    if name.startswith("f"):
        fd = caller.writable(signed(first))
    else:
        follow = not name.startswith("l") or name == "listxattr"
        path = caller.path_at(first)
        fd = caller.named(AT_FDCWD, path, follow=follow, may_be_empty=False)
    try:
        yield fd, status_of(fd)
    finally:
        os.close(fd)


def link_to(fd: int) -> str:
    """Return a path for calls that take no O_PATH descriptor; to a symlink itself, if it is one."""
    return f"/proc/self/fd/{fd}"


def give(caller: Caller, address: int, size_bytes: int, content: bytes) -> int:
    """Write what a call asked for, and return its value. For a size of 0 it is only told."""
    if size_bytes:
        if size_bytes < len(content):
            raise no_such(errno.ERANGE)
        if content:
            caller.write(address, content)
    return len(content)


def _cost(attribute: str, value: bytes) -> int:
    return len(attribute) + len(value) + _OVERHEAD
