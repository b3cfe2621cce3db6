"""New files: whose they are, where the kernel would make all of them root's.

A file belongs to the process's own ids of the moment, in a setgid directory to the directory's
group (inode_init_owner). Where the kernel does the same, it makes the file.
"""

import errno
import os
from collections.abc import Callable, Mapping
from functools import partial

from rootrun.fakeroot.answers.opening import Opening, may_make_file, opening_of
from rootrun.fakeroot.caller import AT_FDCWD, Caller, signed
from rootrun.fakeroot.credentials import Credentials
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.newborn import Newborn, Origin, is_there

_LONGEST_CHAIN = 40  # of symlinks (path_resolution(7))


def create_answers(
    files: Files, creator_of: Callable[[Caller], Credentials]
) -> Mapping[str, Handler]:
    """Return what answers the calls that make files but devices."""
    newborn = Newborn(files, creator_of)
    opening = partial(_answer_open, newborn)
    return {
        **dict.fromkeys(("open", "openat", "openat2", "creat"), opening),
        **dict.fromkeys(("mkdir", "mkdirat"), partial(_answer_mkdir, newborn)),
        **dict.fromkeys(("symlink", "symlinkat"), partial(_answer_symlink, newborn)),
    }


def _answer_mkdir(newborn: Newborn, caller: Caller, name: str) -> int | None:
    directory, address, mode = _at(caller, name)
    with newborn.place(caller, directory, caller.path_at(address)) as origin:
        if origin is None:
            return None
        newborn.check_new(origin)
        with caller.applied_umask():
            os.mkdir(origin.leaf, mode & 0o7777, dir_fd=origin.parent)
        newborn.note(origin)
    return 0


def _answer_symlink(newborn: Newborn, caller: Caller, name: str) -> int | None:
    target, *rest = caller.arguments
    directory, address = (signed(rest[0]), rest[1]) if name == "symlinkat" else (AT_FDCWD, rest[0])
    path = caller.path_at(address)
    if path.endswith(b"/"):
        return None  # ENOENT or EEXIST, by the kernel's own rules
    with newborn.place(caller, directory, path) as origin:
        if origin is None:
            return None
        newborn.check_new(origin)
        os.symlink(caller.path_at(target), origin.leaf, dir_fd=origin.parent)
        newborn.note(origin)
    return 0


def _answer_open(newborn: Newborn, caller: Caller, name: str) -> int | None:
    opening = opening_of(caller, name) if may_make_file(caller, name) else None
    if opening is None or not opening.makes_file:
        return None
    if opening.is_nameless:
        return _answer_tmpfile(newborn, caller, opening)
    is_new = opening.flags & (os.O_EXCL | os.O_NOFOLLOW)
    path = opening.path
    for _ in range(_LONGEST_CHAIN):
        if path.rpartition(b"/")[2] in (b"", b".", b".."):
            return None  # EISDIR
        with newborn.place(caller, opening.directory, path) as origin:
            if origin is None:
                return None
            link = b"" if is_new else _link_at(origin)
            if not link:
                return _open_at(newborn, caller, opening, origin)
        path = link if link.startswith(b"/") else path.rpartition(b"/")[0] + b"/" + link
        path = path.removeprefix(b"/") if not opening.path.startswith(b"/") else path
    return None  # ELOOP


def _open_at(newborn: Newborn, caller: Caller, opening: Opening, origin: Origin) -> int | None:
    """Make the file, or leave what is there to the kernel."""
    if is_there(origin):
        return None
    newborn.check_place(origin)
    flags = opening.flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
    with caller.applied_umask():
        fd = os.open(origin.leaf, flags & ~os.O_TRUNC, opening.mode, dir_fd=origin.parent)
    return _give(newborn, caller, opening, origin, fd)


def _answer_tmpfile(newborn: Newborn, caller: Caller, opening: Opening) -> int | None:
    place = opening.path.rstrip(b"/") + b"/new" if opening.path else b""
    with newborn.place(caller, opening.directory, place) as origin:
        if origin is None:
            return None
        newborn.check_place(origin)
        flags = opening.flags | os.O_CLOEXEC | os.O_NOCTTY
        with caller.applied_umask():
            fd = os.open(f"/proc/self/fd/{origin.parent}", flags, opening.mode)
        return _give(newborn, caller, opening, origin, fd)


def _give(newborn: Newborn, caller: Caller, opening: Opening, origin: Origin, fd: int) -> int:
    """Note the new file, and give the caller its descriptor; ``fd`` is closed."""
    try:
        newborn.note_open(origin, fd)
        return caller.add_descriptor(fd, is_close_on_exec=bool(opening.flags & os.O_CLOEXEC))
    finally:
        os.close(fd)


def _link_at(origin: Origin) -> bytes:
    """Return the target of a symlink at the place of a new file, nothing if there is none."""
    try:
        return os.readlink(origin.leaf, dir_fd=origin.parent)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
        return b""


def _at(caller: Caller, name: str) -> tuple[int, int, int]:
    """Return the directory, the address of the path and the argument behind it."""
    first, second, third, *_ = caller.arguments
    return (signed(first), second, third) if name.endswith("at") else (AT_FDCWD, first, second)
