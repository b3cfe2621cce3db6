"""chmod where a filter above forbids set-id modes: made without the bits, which are remembered.

Modes with such bits are trapped: nothing but this can make them. The others are asked about, for
they take away what is remembered.
"""

import errno
import os
import stat
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
from rootrun.fakeroot.credentials import Credentials
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.permission import check_owner, mode_given
from rootrun.fakeroot.upper import status_of
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import SET_ID_BITS


def chmod_answers(
    files: Files, credentials_of: Callable[[Caller], Credentials]
) -> Mapping[str, Handler]:
    """Return what answers the chmod family."""
    return dict.fromkeys(calls.CHMOD, partial(_answer, files, credentials_of))


def _answer(
    files: Files, credentials_of: Callable[[Caller], Credentials], caller: Caller, name: str
) -> int | None:
    fd, mode = _operands(caller, name)
    try:
        status = status_of(fd)
        set_ids = mode & SET_ID_BITS
        if not files.tree.has(status):
            if set_ids:  # it could be carried into the root from there, and would be lost
                raise no_such(errno.EPERM)
            return None
        known, recalled = files.known(fd, status), files.recall(fd, status)
        credentials = credentials_of(caller)
        if not stat.S_ISSOCK(known.mode):  # bind(2) made it, and nobody was asked
            check_owner(credentials, known)
        set_ids = mode_given(credentials, known, set_ids)
        if not mode & SET_ID_BITS and (recalled is None or not recalled.set_ids):
            return None
        os.chmod(f"/proc/self/fd/{fd}", mode & ~SET_ID_BITS)  # copies it up, for the key
        files.note(fd, Remembered(set_ids=set_ids))
    finally:
        os.close(fd)
    return 0


def _operands(caller: Caller, name: str) -> tuple[int, int]:
    first, second, third, flags, *_ = caller.arguments
    if name == "fchmod":
        return caller.writable(signed(first)), second & 0o7777
    if name == "chmod":
        path = caller.path_at(first)
        return caller.named(AT_FDCWD, path, follow=True, may_be_empty=False), second & 0o7777
    flags = flags & 0xFFFFFFFF if name == "fchmodat2" else 0
    if flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH):
        raise no_such(errno.EINVAL)
    fd = caller.named(
        signed(first),
        caller.path_at(second),
        follow=not flags & AT_SYMLINK_NOFOLLOW,
        may_be_empty=bool(flags & AT_EMPTY_PATH),
    )
    return fd, third & 0o7777
