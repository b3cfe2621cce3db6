"""The limit that tells who a process is: to the container it is what it was at the start.

Setting it succeeds and changes nothing: who sets all limits (pam_limits(8)) stays who it is.
"""

import errno
import struct
from collections.abc import Mapping

from rootrun.fakeroot.caller import Caller, no_such
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities
from rootrun.sandbox import bpf

_INFINITY = (1 << 64) - 1  # RLIM_INFINITY
_SHORT_INFINITY = 0xFFFFFFFF  # of i386, and what does not fit is shown as it
_OLD_INFINITY = 0x7FFFFFFF  # of the getrlimit that i386 had first
_LONG, _SHORT = struct.Struct("=QQ"), struct.Struct("=II")  # soft, hard


def limit_answers(identities: Identities) -> Mapping[str, Handler]:
    """Return what answers ``calls.LIMITS`` for RLIMIT_LOCKS, which the filter asks about alone."""
    answers = _LimitAnswers(identities)
    return {
        "setrlimit": answers.set,
        "getrlimit": answers.get,
        "ugetrlimit": answers.get,
        "prlimit64": answers.exchange,
    }


class _LimitAnswers:
    def __init__(self, identities: Identities) -> None:
        self._limit = tuple(_INFINITY if n == -1 else n for n in identities.limit)

    def set(self, caller: Caller, _: str) -> int:
        _check(caller, _layout(caller), caller.arguments[1])
        return 0

    def get(self, caller: Caller, name: str) -> int:
        layout, shown = _layout(caller), self._limit
        if layout is _SHORT:
            most = _OLD_INFINITY if name == "getrlimit" else _SHORT_INFINITY
            shown = tuple(min(number, most) for number in shown)
        caller.write(caller.arguments[1], layout.pack(*shown))
        return 0

    def exchange(self, caller: Caller, _: str) -> int:
        new, old = caller.arguments[2:4]
        if new:
            _check(caller, _LONG, new)
        if old:
            caller.write(old, _LONG.pack(*self._limit))
        return 0


def _layout(caller: Caller) -> struct.Struct:
    return _SHORT if caller.arch == bpf.AUDIT_ARCH_I386 else _LONG


def _check(caller: Caller, layout: struct.Struct, address: int) -> None:
    """Raise EFAULT or EINVAL for a limit that no process could have."""
    soft, hard = layout.unpack(caller.read(address, layout.size))
    if soft > hard:  # without a limit is the largest number
        raise no_such(errno.EINVAL)
