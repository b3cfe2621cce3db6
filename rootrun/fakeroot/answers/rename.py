"""rename and link: what the base's record says of a name goes with the file to another."""

import os
from collections.abc import Mapping
from functools import partial

from rootrun.fakeroot import calls
from rootrun.fakeroot.caller import AT_EMPTY_PATH, AT_FDCWD, Caller, signed
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.upper import status_of
from rootrun.namedtuple import NamedTuple

_AT_SYMLINK_FOLLOW = 0x400
_RENAME_EXCHANGE = 2


class _Names(NamedTuple):
    """What a call names: each a directory's number and a path."""

    old: tuple[int, bytes]
    new: tuple[int, bytes]
    flags: int

    @property
    def is_odd(self) -> bool:
        """Whether the old path's last component is not the name of the file."""
        is_link = self.flags & (_AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)
        return bool(is_link) or _leaf(self.old[1]) in (b"", b".", b"..")


def rename_answers(files: Files) -> Mapping[str, Handler]:
    """Return what attends to renames and hard links; the kernel makes all of them."""
    return dict.fromkeys(calls.RENAME, partial(_attend, files))


def _attend(files: Files, caller: Caller, name: str) -> int | None:
    names = _names(caller, name)
    leaf, new_leaf = _leaf(names.old[1]), _leaf(names.new[1])
    files.names.follow(leaf, new_leaf, is_link="link" in name)
    if names.flags and name == "renameat2":  # RENAME_EXCHANGE
        files.names.follow(new_leaf, leaf, is_link=False)
    if names.is_odd:  # the name that it has is not told
        files.names.add(new_leaf)
    elif not (files.may_be_recorded(leaf) or files.may_be_recorded(new_leaf)):
        return None
    try:
        _note(files, caller, names.old, follow=_follows(name, names.flags))
        if name == "renameat2" and names.flags & _RENAME_EXCHANGE:
            _note(files, caller, names.new, follow=False)
    except (OSError, ValueError):
        pass  # the kernel finds the same
    return None


def _note(files: Files, caller: Caller, at: tuple[int, bytes], *, follow: bool) -> None:
    directory, path = at
    fd = caller.named(directory, path.rstrip(b"/"), follow=follow, may_be_empty=not path)
    try:
        status = status_of(fd)
        if files.tree.has(status):
            files.note_moving(fd, status)
    finally:
        os.close(fd)


def _names(caller: Caller, name: str) -> _Names:
    first, second, third, fourth, flags, _ = caller.arguments
    if name in ("rename", "link"):
        old, new = caller.path_at(first), caller.path_at(second)
        return _Names((AT_FDCWD, old), (AT_FDCWD, new), 0)
    flags = 0 if name == "renameat" else flags & 0xFFFFFFFF
    old, new = caller.path_at(second), caller.path_at(fourth)
    return _Names((signed(first), old), (signed(third), new), flags)


def _follows(name: str, flags: int) -> bool:
    return name == "linkat" and bool(flags & (_AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))


def _leaf(path: bytes) -> bytes:
    return path.rstrip(b"/").rpartition(b"/")[2]
