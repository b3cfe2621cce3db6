"""Execution: what a program of set-id mode makes of a process, and every program of capabilities.

The kernel executes. That it may fail yet, of a foreign architecture for one, is not seen here.
"""

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from rootrun.annotation import Protocol
from rootrun.fakeroot import calls
from rootrun.fakeroot.answers.acting import Acting
from rootrun.fakeroot.caller import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    Caller,
    signed,
)
from rootrun.fakeroot.credentials import after_exec
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities
from rootrun.namedtuple import NamedTuple

_ELF_MAGIC = b"\x7fELF"
_BEGINNING = 256  # bytes that the kernel looks at (BINPRM_BUF_SIZE)
_ANY_EXECUTE = 0o111
_SET_IDS = stat.S_ISUID | stat.S_ISGID
_DEEPEST = 5  # interpreters of interpreters (execve(2))


class _Known(Protocol):
    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def mode(self) -> int: ...


class KnownFiles(Protocol):
    """What tells the true owner and mode of files."""

    @property
    def hides_set_ids(self) -> bool:
        """Whether the disk holds no set-id bits."""

    def known(self, fd: int) -> _Known:
        """Return those of an open file."""


class _SetIds(NamedTuple):
    """The ids that a program gives."""

    uid: int | None = None
    gid: int | None = None


def execute_answers(
    identities: Identities, files: KnownFiles, *, gains_nothing: bool
) -> Mapping[str, Handler]:
    """Return what answers ``calls.EXECUTE``.

    ``gains_nothing``: set-id programs are as others, for all processes.
    """
    answers = _ExecuteAnswers(Acting(identities), files, gains_nothing=gains_nothing)
    return dict.fromkeys(calls.EXECUTE, answers.execute)


class _ExecuteAnswers:
    def __init__(self, acting: Acting, files: KnownFiles, *, gains_nothing: bool) -> None:
        self._acting = acting
        self._files = files
        self._gains_nothing = gains_nothing

    def execute(self, caller: Caller, name: str) -> None:
        found = _SetIds()
        with suppress(OSError):  # the kernel finds the same, and fails
            found = self._set_ids(caller, name)
        present = self._acting.anybody(caller) if any(found) else None
        present = present or self._acting.other_than_root(caller)
        if present is not None:
            new = after_exec(present, set_uid=found.uid, set_gid=found.gid)
            self._acting.become(caller, present, new)

    def _set_ids(self, caller: Caller, name: str) -> _SetIds:
        fd = _program(caller, name)
        for _ in range(_DEEPEST + 1):
            try:
                interpreter = _interpreter(fd)
                if interpreter is None:
                    return self._set_ids_of(caller, fd)
            finally:
                os.close(fd)
            fd = caller.named(AT_FDCWD, interpreter, follow=True, may_be_empty=False)
        os.close(fd)
        return _SetIds()

    def _set_ids_of(self, caller: Caller, fd: int) -> _SetIds:
        if not self._files.hides_set_ids and not os.fstat(fd).st_mode & _SET_IDS:
            return _SetIds()
        known = self._files.known(fd)
        if not known.mode & (stat.S_ISUID | stat.S_ISGID) or not known.mode & _ANY_EXECUTE:
            return _SetIds()
        if _is_nosuid(caller, fd) or self._may_gain_nothing(caller):
            return _SetIds()
        has_group = known.mode & stat.S_ISGID and known.mode & stat.S_IXGRP
        return _SetIds(
            uid=known.uid if known.mode & stat.S_ISUID else None,
            gid=known.gid if has_group else None,
        )

    def _may_gain_nothing(self, caller: Caller) -> bool:
        if self._gains_nothing:
            return True
        # Not what the kernel says of the process: it is set for all here, see rootrun.plan.
        present = self._acting.noted(caller)
        return present is not None and present.has_no_new_privs


def _program(caller: Caller, name: str) -> int:
    """Return a descriptor of what is to be executed."""
    if name == "execve":
        path = caller.path_at(caller.arguments[0])
        return caller.named(AT_FDCWD, path, follow=True, may_be_empty=False)
    directory, address, _, _, flags, _ = caller.arguments
    return caller.named(
        signed(directory),
        caller.path_at(address),
        follow=not flags & AT_SYMLINK_NOFOLLOW,
        may_be_empty=bool(flags & AT_EMPTY_PATH),
    )


def _interpreter(fd: int) -> bytes | None:
    """Return what interprets a script, None for an ELF file; ENOEXEC for anything else."""
    beginning = _beginning(fd)
    if beginning.startswith(_ELF_MAGIC):
        return None
    line = beginning.removeprefix(b"#!").partition(b"\n")[0].replace(b"\t", b" ").strip(b" ")
    if not beginning.startswith(b"#!") or not line:
        raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC))
    return line.partition(b" ")[0].partition(b"\0")[0]


def _beginning(fd: int) -> bytes:
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode) or not mode & _ANY_EXECUTE:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    # Not to wait for who holds a lease (fcntl(2)).
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    readable = os.open(f"/proc/self/fd/{fd}", flags)
    try:
        return os.read(readable, _BEGINNING)
    finally:
        os.close(readable)


def _is_nosuid(caller: Caller, fd: int) -> bool:
    """Say whether set-id modes count for nothing there; where the root itself is, they do."""
    if not os.fstatvfs(fd).f_flag & os.ST_NOSUID:
        return False
    root = os.statvfs(f"/proc/{caller.pid}/root")
    caller.check_alive()
    return not root.f_flag & os.ST_NOSUID
