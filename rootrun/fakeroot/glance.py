"""A glance at a stat call: most are about files of which the disk says all.

Several ten thousand calls of an installation end here. They cost what they do because the caller's
work has driven everything out of the processor's caches meanwhile, so that little is called.
"""

import os
from collections.abc import Callable, Mapping

from rootrun.fakeroot.caller import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, signed
from rootrun.fakeroot.names import Names
from rootrun.fakeroot.process_owner import BELOW
from rootrun.sandbox import syscalls
from rootrun.sandbox.beneath import FOLLOWING
from rootrun.sandbox.notify import SystemCall

Glance = Callable[[SystemCall, int | None], bool]
"""Takes a call and the root that all callers have, if so; says whether it is the kernel's to make.

False says nothing.
"""

_OF_THE_CALLER = (b"/proc/", b"/dev/")
_ODD = (b"", b".", b"..")


def glances(names: Names) -> Mapping[str, Glance]:
    """Return the glances by the name of the call; ``names`` are those of which more is known."""

    def stat(call: SystemCall, root: int | None) -> bool:
        return _is_plain(names, call.pid, call.arguments[0], root)

    def lstat(call: SystemCall, _: int | None) -> bool:
        path = syscalls.read_string(call.pid, call.arguments[0])
        return path is not None and _has_plain_name(names, path)

    def fstat(call: SystemCall, _: int | None) -> bool:
        return _is_open_plain(names, call.pid, signed(call.arguments[0]))

    def stat_at(call: SystemCall, root: int | None, *, flags_at: int) -> bool:
        directory, address = call.arguments[:2]
        flags = call.arguments[flags_at]
        if not flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW):
            return _is_plain(names, call.pid, address, root)
        path = syscalls.read_string(call.pid, address)
        if path:
            return bool(flags & AT_SYMLINK_NOFOLLOW) and _has_plain_name(names, path)
        number = signed(directory)
        return path is not None and number != AT_FDCWD and _is_open_plain(names, call.pid, number)

    def newfstatat(call: SystemCall, root: int | None) -> bool:
        return stat_at(call, root, flags_at=3)

    def statx(call: SystemCall, root: int | None) -> bool:
        return stat_at(call, root, flags_at=2)

    return {
        **dict.fromkeys(("stat", "stat64"), stat),
        **dict.fromkeys(("lstat", "lstat64"), lstat),
        **dict.fromkeys(("fstat", "fstat64"), fstat),
        **dict.fromkeys(("newfstatat", "fstatat64"), newfstatat),
        "statx": statx,
    }


def _has_plain_name(names: Names, path: bytes) -> bool:
    name = path.rpartition(b"/")[2]
    return name not in names and name not in _ODD and not name.isdigit()


def _is_open_plain(names: Names, pid: int, number: int) -> bool:
    try:
        link = os.readlink(b"/proc/%d/fd/%d" % (pid, number))
    except OSError:
        return True  # EBADF, as the kernel will find
    return not names.has_last_of(link) and not link.startswith(BELOW)


def _is_plain(names: Names, pid: int, address: int, root: int | None) -> bool:
    """Look where an absolute path leads."""
    path = syscalls.read_string(pid, address)
    if root is None or not path or path[:1] != b"/" or path.startswith(_OF_THE_CALLER):
        return False
    try:
        fd = syscalls.openat2(root, path, FOLLOWING)
    except OSError:
        return True  # so will the kernel
    try:
        return not names.has_last_of(os.readlink(b"/proc/self/fd/%d" % fd))
    finally:
        os.close(fd)
