"""What who is not root may not do with files: an error before the call is answered, or made.

Of root nothing is asked, not even a path. Opening for reading and the stat family are not guarded:
too many of them are made.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from rootrun.fakeroot import calls
from rootrun.fakeroot.answers.acting import Acting
from rootrun.fakeroot.answers.opening import opening_of
from rootrun.fakeroot.answers.path_argument import (
    PathArgument,
    is_relative,
    path_argument,
    second_argument,
)
from rootrun.fakeroot.answers.times import Times, times_of
from rootrun.fakeroot.answers.xattr_call import attribute_of
from rootrun.fakeroot.caller import Caller, no_such
from rootrun.fakeroot.credentials import CAP_SETFCAP, Credentials
from rootrun.fakeroot.files import Files
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.permission import (
    SEARCH,
    WRITE,
    Known,
    check_access,
    check_link,
    check_owner,
    check_removal,
    mode_given,
    with_real_ids,
)
from rootrun.fakeroot.way import Reached, Ways
from rootrun.layer.metadata import CAPABILITY

_AT_EACCESS = 0x200
_RENAME_EXCHANGE = 2
_NOT_OPENED = (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFSOCK)

Rule = Callable[[Caller, Credentials, str], int | None]
"""As ``Handler``, for a caller that is not root: the credentials are what it has."""


def file_guards(files: Files, acting: Acting, *, is_restricted: bool) -> Mapping[str, Handler]:
    """Return what guards files. ``is_restricted``: set-id modes are given by the answer alone."""
    rules = _Rules(files, is_restricted=is_restricted)
    table: Mapping[calls.Names, Rule] = {
        calls.CHMOD: rules.chmod,
        calls.SET_TIMES: rules.set_times,
        (*calls.CREATE, *calls.MKNOD): rules.create,
        calls.OPEN: rules.open,
        calls.REMOVE: rules.remove,
        calls.RENAME: rules.rename,
        ("link", "linkat"): rules.link,
        calls.TRUNCATE: rules.truncate,
        calls.ACCESS: rules.access,
        calls.CHANGE_DIRECTORY: rules.enter,
        calls.EXECUTE: rules.execute,
        (*calls.SET_XATTR, *calls.REMOVE_XATTR): rules.change_attribute,
    }
    return {name: partial(guard, acting, rule) for names, rule in table.items() for name in names}


def guard(acting: Acting, rule: Rule, caller: Caller, name: str) -> int | None:
    """Apply ``rule`` to a caller that is not root."""
    present = acting.other_than_root(caller)
    return None if present is None else rule(caller, present, name)


class _Rules:
    def __init__(self, files: Files, *, is_restricted: bool) -> None:
        self._ways = Ways(files)
        self._is_restricted = is_restricted

    def chmod(self, caller: Caller, present: Credentials, name: str) -> int | None:
        with self._target(caller, present, name) as (fd, known):
            if known is None or stat.S_ISSOCK(known.mode):
                return None
            check_owner(present, known)
            mode = caller.arguments[2 if is_relative(name) else 1] & 0o7777
            given = mode_given(present, known, mode)
            if given == mode or self._is_restricted or stat.S_ISLNK(known.mode):
                return None
            os.chmod(f"/proc/self/fd/{fd}", given)
        return 0

    def set_times(self, caller: Caller, present: Credentials, name: str) -> None:
        times = times_of(caller, name)
        with self._target(caller, present, name) as (_, known):
            if known is None or stat.S_ISSOCK(known.mode) or times is Times.NONE:
                return
            if times is Times.GIVEN:
                check_owner(present, known)
            elif present.uids.file_system != known.uid:
                check_access(present, known, WRITE)

    def create(self, caller: Caller, present: Credentials, name: str) -> None:
        with self._reached(caller, present, path_argument(caller, name)) as reached:
            _check_new(present, reached)

    def open(self, caller: Caller, present: Credentials, name: str) -> None:
        opening = opening_of(caller, name)
        if opening is None:
            return
        argument = PathArgument(opening.directory, opening.path, opening.follows)
        with self._reached(caller, present, argument) as reached:
            known = reached and reached.known
            if opening.makes_file and not opening.is_nameless:
                _check_new(present, reached)
                if opening.flags & os.O_EXCL:
                    return
            # What no such opening is made of fails in the kernel: EISDIR, ELOOP, ENXIO.
            if known and stat.S_IFMT(known.mode) not in _NOT_OPENED:
                check_access(present, known, opening.wanted)

    def remove(self, caller: Caller, present: Credentials, name: str) -> None:
        with self._reached(caller, present, path_argument(caller, name)) as reached:
            _check_removal(present, reached)

    def rename(self, caller: Caller, present: Credentials, name: str) -> None:
        flags = caller.arguments[4] if name == "renameat2" else 0
        with self._reached(caller, present, path_argument(caller, name)) as old:
            if old is None or old.known is None:
                return
            with self._reached(caller, present, second_argument(caller, name)) as new:
                if new is None or (new.known is None and flags & _RENAME_EXCHANGE):
                    return
                _check_removal(present, old)
                _check_new(present, new)
                _check_removal(present, new)
                if stat.S_ISDIR(old.known.mode) and old.parent != new.parent:
                    check_access(present, old.known, WRITE)  # its .. is another

    def link(self, caller: Caller, present: Credentials, name: str) -> None:
        with self._reached(caller, present, second_argument(caller, name)) as new:
            if new is None or new.known is not None:
                return
            with self._target(caller, present, name) as (_, known):
                if known is not None and not stat.S_ISSOCK(known.mode):
                    check_link(present, known)
            _check_new(present, new)

    def truncate(self, caller: Caller, present: Credentials, name: str) -> None:
        with self._target(caller, present, name) as (_, known):
            if known is not None and stat.S_ISREG(known.mode):
                check_access(present, known, WRITE)

    def access(self, caller: Caller, present: Credentials, name: str) -> None:
        wanted = caller.arguments[2 if is_relative(name) else 1] & 7
        is_effective = name == "faccessat2" and caller.arguments[3] & _AT_EACCESS
        asked = present if is_effective else with_real_ids(present)
        with self._target(caller, asked, name) as (_, known):
            if known is not None and not stat.S_ISSOCK(known.mode):
                check_access(asked, known, wanted)

    def enter(self, caller: Caller, present: Credentials, name: str) -> None:
        with self._target(caller, present, name) as (_, known):
            if known is not None and stat.S_ISDIR(known.mode):
                check_access(present, known, SEARCH)

    def execute(self, caller: Caller, present: Credentials, name: str) -> None:
        with self._target(caller, present, name) as (_, known):
            if known is not None and stat.S_ISREG(known.mode):
                check_access(present, known, SEARCH)

    def change_attribute(self, caller: Caller, present: Credentials, name: str) -> None:
        attribute = attribute_of(caller)
        with self._target(caller, present, name) as (_, known):
            if known is None:
                return
            if attribute == CAPABILITY and not present.has(CAP_SETFCAP):
                raise no_such(errno.EPERM)
            if attribute.startswith("system."):
                check_owner(present, known)
            elif attribute.startswith("user.") and not stat.S_ISLNK(known.mode):
                check_access(present, known, WRITE)

    @contextmanager
    def _target(
        self, caller: Caller, present: Credentials, name: str
    ) -> Iterator[tuple[int, Known | None]]:
        """Yield what the call names, and the truth about it; None for what is left alone."""
        with self._reached(caller, present, path_argument(caller, name)) as reached:
            yield (-1, None) if reached is None else (reached.fd, reached.known)

    @contextmanager
    def _reached(
        self, caller: Caller, present: Credentials, argument: PathArgument
    ) -> Iterator[Reached | None]:
        directory, path, follow, is_descriptor = argument
        if is_descriptor:
            with self._ways.open_file(caller, directory) as reached:
                yield reached
        else:
            with self._ways.reach(
                caller, present, directory=directory, path=path, follow=follow
            ) as reached:
                yield reached


def _check_new(present: Credentials, reached: Reached | None) -> None:
    """Raise EACCES where there is nothing, and the caller may not make anything."""
    if reached is not None and reached.known is None and reached.parent is not None:
        check_access(present, reached.parent, WRITE | SEARCH)


def _check_removal(present: Credentials, reached: Reached | None) -> None:
    if reached is None or reached.known is None or reached.parent is None:
        return
    if stat.S_ISSOCK(reached.known.mode):
        check_access(present, reached.parent, WRITE | SEARCH)
    else:
        check_removal(present, reached.parent, reached.known)
