"""The calls that set times: whether to times of the caller's own (utimensat(2))."""

import struct
from enum import Enum, auto

from rootrun.fakeroot.answers.path_argument import is_relative
from rootrun.fakeroot.caller import Caller
from rootrun.sandbox import bpf

_NOW, _OMIT = 0x3FFFFFFF, 0x3FFFFFFE  # UTIME_*, as nanoseconds
_LONG, _SHORT = struct.Struct("=8xq8xq"), struct.Struct("=4xi4xi")  # of two struct timespec


class Times(Enum):
    """What a call sets both times to. ``GIVEN``: to one that is not the present, or one alone."""

    NOW = auto()
    GIVEN = auto()
    NONE = auto()


def times_of(caller: Caller, name: str) -> Times:
    """Return what the call sets."""
    address = caller.arguments[2 if is_relative(name) else 1]
    if not address:
        return Times.NOW
    if not name.startswith("utimensat"):
        return Times.GIVEN
    layout = _SHORT if caller.arch == bpf.AUDIT_ARCH_I386 and name == "utimensat" else _LONG
    nanoseconds = layout.unpack(caller.read(address, layout.size))
    if nanoseconds == (_NOW, _NOW):
        return Times.NOW
    return Times.NONE if nanoseconds == (_OMIT, _OMIT) else Times.GIVEN
