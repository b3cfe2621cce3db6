"""Truncation of files whose privileges are remembered: it takes them away, as any writing does.

Other writing shows in the size, or not at all: touch(1) opens a file for it, too.
"""

import os
from collections.abc import Mapping
from functools import partial

from rootrun.fakeroot import calls
from rootrun.fakeroot.answers.opening import opening_of
from rootrun.fakeroot.caller import AT_FDCWD, Caller
from rootrun.fakeroot.files import Files, copy_up
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.ownership import without_privileges
from rootrun.fakeroot.upper import status_of


def writing_answers(files: Files) -> Mapping[str, Handler]:
    """Return what attends to calls that write to files; something else answers them."""
    return dict.fromkeys((*calls.OPEN, *calls.TRUNCATE), partial(_attend, files))


def _attend(files: Files, caller: Caller, name: str) -> None:
    try:
        fd = _opened(caller, name)
    except (OSError, ValueError):
        return  # the kernel finds the same
    if fd is None:
        return
    try:
        status = status_of(fd)
        known = files.recall(fd, status)
        left = without_privileges(known, status.mode) if known is not None else None
        if known is not None and left is not None and left != known:
            copy_up(fd)
            files.note(fd, left)
    finally:
        os.close(fd)


def _opened(caller: Caller, name: str) -> int | None:
    """Return a descriptor of what is to be written to, None if nothing is."""
    if name in calls.TRUNCATE:
        path = caller.path_at(caller.arguments[0])
        return caller.named(AT_FDCWD, path, follow=True, may_be_empty=False)
    opening = opening_of(caller, name)
    if opening is None or not opening.flags & os.O_TRUNC:
        return None
    follow = opening.follows
    return caller.named(opening.directory, opening.path, follow=follow, may_be_empty=False)
