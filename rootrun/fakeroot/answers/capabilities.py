"""The capabilities of a process that is not root any more; those of root are the kernel's.

What the kernel has to say of wrong arguments, and of other processes, it says.
"""

import errno
import struct
from collections.abc import Mapping

from rootrun.fakeroot import credentials
from rootrun.fakeroot.answers.acting import Acting
from rootrun.fakeroot.caller import Caller, no_such
from rootrun.fakeroot.credentials import Credentials
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities
from rootrun.fakeroot.process_status import read_process_status
from rootrun.namedtuple import NamedTuple

_HEADER = struct.Struct("=Ii")  # version, pid
# struct __user_cap_data_struct, and how many there are: one in version 1, of Linux 2.2, else two.
_SET = struct.Struct("=III")  # effective, permitted, inheritable
_COUNTS = {0x19980330: 1, 0x20071026: 2, 0x20080522: 2}
_HALF_BITS = 32
_HALF = (1 << _HALF_BITS) - 1
_PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 8, 28, 38


class _Operands(NamedTuple):
    """Whom a call is about, and where the sets are."""

    pid: int  # as the caller sees it; 0 is itself
    sets: int
    address: int


def capability_answers(identities: Identities) -> Mapping[str, Handler]:
    """Return what answers ``calls.CAPABILITIES``, and prctl(2) of what is kept or gained."""
    answers = _CapabilityAnswers(Acting(identities))
    return {"capget": answers.get, "capset": answers.set, "prctl": answers.control}


class _CapabilityAnswers:
    def __init__(self, acting: Acting) -> None:
        self._acting = acting

    def get(self, caller: Caller, _: str) -> int | None:
        present = self._acting.other_than_root(caller)
        operands = _operands(caller) if present is not None else None
        if present is None or operands is None or not _is_own(caller, operands.pid):
            return None
        masks = (present.effective, present.permitted, present.inheritable)
        halves = (
            _SET.pack(*(mask >> _HALF_BITS * half & _HALF for mask in masks))
            for half in range(operands.sets)
        )
        caller.write(operands.address, b"".join(halves))
        return 0

    def set(self, caller: Caller, _: str) -> int | None:
        present = self._acting.other_than_root(caller)
        operands = _operands(caller) if present is not None else None
        if present is None or operands is None:
            return None
        if not _is_own(caller, operands.pid):
            raise no_such(errno.EPERM)
        content = caller.read(operands.address, operands.sets * _SET.size)
        low, high = (*_SET.iter_unpack(content), (0, 0, 0))[:2]
        effective, permitted, inheritable = (
            mask | more << _HALF_BITS for mask, more in zip(low, high, strict=True)
        )
        new = credentials.capset(
            present, effective=effective, permitted=permitted, inheritable=inheritable
        )
        self._acting.become(caller, present, new)
        return 0

    def control(self, caller: Caller, _: str) -> int | None:
        """Note what the kernel is about to note, too: its own word is that of a root."""
        present = self._acting.anybody(caller)
        if present is not None:
            self._acting.become(caller, present, _controlled(present, caller.arguments))
        return None


def _controlled(present: Credentials, arguments: tuple[int, ...]) -> Credentials:
    option, value = arguments[0] & _HALF, arguments[1]
    if option == _PR_SET_SECUREBITS:
        return credentials.set_securebits(present, value)
    if option == _PR_SET_KEEPCAPS and value in (0, 1):
        return credentials.set_keepcaps(present, keeps=bool(value))
    if option == _PR_SET_NO_NEW_PRIVS and arguments[1:5] == (1, 0, 0, 0):
        return credentials.set_no_new_privs(present)
    return present


def _operands(caller: Caller) -> _Operands | None:
    header, address = caller.arguments[:2]
    version, pid = _HEADER.unpack(caller.read(header, _HEADER.size))
    if version not in _COUNTS or not address or pid < 0:
        return None
    return _Operands(pid, _COUNTS[version], address)


def _is_own(caller: Caller, pid: int) -> bool:
    if pid == 0:
        return True
    own = read_process_status(caller.pid).own_pid
    caller.check_alive()
    return own == pid
