"""Signals to processes of other users, which the kernel takes for the sender's own (kill(2)).

Looked at are the processes of the sender's pid namespace. What goes to several of which not all
may get it is sent from here: si_pid is not the sender's then.
"""

import errno
import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial

from rootrun.fakeroot import calls
from rootrun.fakeroot.answers.acting import Acting
from rootrun.fakeroot.answers.guard import guard
from rootrun.fakeroot.caller import Caller, no_such, signed
from rootrun.fakeroot.credentials import CAP_KILL, Credentials
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.process_status import ProcessStatus, read_process_status
from rootrun.namedtuple import NamedTuple

_ALL = -1
_INIT = 1
_LAST_SIGNAL = 64  # SIGRTMAX


class _Process(NamedTuple):
    """A process by its pid here."""

    pid: int
    status: ProcessStatus


def signal_guards(identities: Identities, acting: Acting) -> Mapping[str, Handler]:
    """Return what guards ``calls.SIGNAL``."""
    return dict.fromkeys(calls.SIGNAL, partial(guard, acting, _Rules(identities).send))


class _Rules:
    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def send(self, caller: Caller, present: Credentials, name: str) -> int | None:
        if present.has(CAP_KILL):
            return None
        sender = _sender(caller)
        first, second, third, *_ = caller.arguments
        if name == "pidfd_send_signal":
            target = _named_by_pidfd(caller, signed(first))
            self._check(present, sender, target, signed(second))
            return None
        wanted, number = signed(first), signed(third if name == "tgkill" else second)
        if wanted == sender.status.own_pid or not 0 <= number <= _LAST_SIGNAL:
            return None
        if wanted > 0 or name != "kill":
            found = (process for process in _others(sender) if process.status.own_pid == wanted)
            target = next(found, None)
            if target is None and wanted == _INIT:  # rootrun's own, which lets nobody look
                raise no_such(errno.EPERM)
            self._check(present, sender, target, number)
            return None
        return self._send_all(present, sender, wanted, number)

    def _check(
        self, present: Credentials, sender: _Process, target: _Process | None, number: int
    ) -> None:
        if target is not None and not self._may(present, sender, target, number):
            raise no_such(errno.EPERM)

    def _send_all(
        self, present: Credentials, sender: _Process, wanted: int, number: int
    ) -> int | None:
        """Send to a process group, or to all there are (kill(2): -1)."""
        if wanted == _ALL:
            members = [other for other in _others(sender) if other.status.own_pid != _INIT]
        else:
            group = -wanted or sender.status.group
            members = [other for other in _others(sender) if other.status.group == group]
            if sender.status.group == group:
                members.append(sender)  # the last one: it may be its end
        allowed = [other for other in members if self._may(present, sender, other, number)]
        if allowed == members:
            return None
        if not allowed and wanted != _ALL:
            raise no_such(errno.EPERM)
        for process in allowed:
            _send(process, number)
        return 0

    def _may(self, present: Credentials, sender: _Process, target: _Process, number: int) -> bool:
        if target.pid == sender.pid:
            return True
        if number == signal.SIGCONT and target.status.session == sender.status.session:
            return True
        its = self._identities.of(target.pid).uids
        return bool({present.uids.real, present.uids.effective} & {its.real, its.saved})


def _sender(caller: Caller) -> _Process:
    thread = read_process_status(caller.pid)
    status = read_process_status(thread.process)
    caller.check_alive()
    return _Process(thread.process, status)


def _others(sender: _Process) -> Iterator[_Process]:
    """Yield the other processes of the sender's pid namespace."""
    namespace = os.stat(f"/proc/{sender.pid}/ns/pid").st_ino
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        with suppress(OSError):  # it is gone, or somebody else's
            if pid != sender.pid and os.stat(f"/proc/{pid}/ns/pid").st_ino == namespace:
                yield _Process(pid, read_process_status(pid))


def _named_by_pidfd(caller: Caller, number: int) -> _Process | None:
    with suppress(FileNotFoundError, ProcessLookupError):  # EBADF or ESRCH, by the kernel
        with open(f"/proc/{caller.pid}/fdinfo/{number}", "rb") as fdinfo:
            found = re.search(rb"^Pid:\t(\d+)$", fdinfo.read(), re.MULTILINE)
        caller.check_alive()
        if found is not None:
            return _Process(int(found[1]), read_process_status(int(found[1])))
    return None


def _send(process: _Process, number: int) -> None:
    """Send to a process, if that is still the one that its pid meant."""
    with suppress(OSError):
        pidfd = os.pidfd_open(process.pid)
        try:
            if read_process_status(process.pid).pids == process.status.pids:
                signal.pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)
