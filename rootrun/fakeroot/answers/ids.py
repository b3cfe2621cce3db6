"""The calls that get and set ids, for processes of a container that has one uid.

On i386 those without a 32 at the end have ids of 16 bits (linux/highuid.h).
"""

import errno
import struct
from collections.abc import Callable, Mapping

from rootrun.fakeroot import calls, credentials
from rootrun.fakeroot.answers.acting import Acting
from rootrun.fakeroot.caller import Caller, no_such, signed
from rootrun.fakeroot.credentials import KEEP, MOST_GROUPS, Credentials
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.identities import Identities

_SHORT_KEEP = 0xFFFF
_OVERFLOW = 65534  # what 16 bits cannot hold (/proc/sys/kernel/overflowuid)

_GET_ONE: Mapping[str, Callable[[Credentials], int]] = {
    "getuid": lambda present: present.uids.real,
    "geteuid": lambda present: present.uids.effective,
    "getgid": lambda present: present.gids.real,
    "getegid": lambda present: present.gids.effective,
}
_SET_ONE = {"setuid": credentials.setuid, "setgid": credentials.setgid}
_SET_TWO = {"setreuid": credentials.setreuid, "setregid": credentials.setregid}
_SET_THREE = {"setresuid": credentials.setresuid, "setresgid": credentials.setresgid}


def id_answers(identities: Identities) -> Mapping[str, Handler]:
    """Return what answers ``calls.GET_IDS`` and ``calls.SET_IDS``."""
    answers = _IdAnswers(Acting(identities))
    handlers: dict[str, Handler] = dict.fromkeys(calls.GET_IDS, answers.get)
    handlers |= dict.fromkeys(("getgroups", "getgroups32"), answers.get_groups)
    handlers |= dict.fromkeys(calls.SET_IDS, answers.set)
    handlers |= dict.fromkeys(("setgroups", "setgroups32"), answers.set_groups)
    for kind in ("uid", "gid"):
        handlers |= dict.fromkeys((f"setfs{kind}", f"setfs{kind}32"), answers.set_file_system)
    return handlers


class _IdAnswers:
    def __init__(self, acting: Acting) -> None:
        self._acting = acting

    def get(self, caller: Caller, name: str) -> int | None:
        present = self._acting.other_than_root(caller)
        if present is None:
            return None
        is_short, plain = _shape(caller, name)
        if plain in _GET_ONE:
            return _shown(_GET_ONE[plain](present), is_short=is_short)
        ids = present.uids if plain == "getresuid" else present.gids
        for address, number in zip(caller.arguments, ids[:3], strict=False):
            caller.write(address, _packed((number,), is_short=is_short))
        return 0

    def get_groups(self, caller: Caller, name: str) -> int | None:
        # Of root, too: the kernel has groups from outside, which one with one gid cannot give up.
        present = self._acting.noted(caller)
        if present is None:
            return None
        room, address = signed(caller.arguments[0]), caller.arguments[1]
        count = len(present.groups)
        if room < 0 or 0 < room < count:
            raise no_such(errno.EINVAL)
        if room and count:
            caller.write(address, _packed(present.groups, is_short=_shape(caller, name)[0]))
        return count

    def set(self, caller: Caller, name: str) -> int | None:
        present = self._acting.anybody(caller)
        if present is None:
            return None
        is_short, plain = _shape(caller, name)
        first, second, third = (_wanted(a, is_short=is_short) for a in caller.arguments[:3])
        if plain in _SET_ONE:
            new = _SET_ONE[plain](present, first)
        elif plain in _SET_TWO:
            new = _SET_TWO[plain](present, first, second)
        else:
            new = _SET_THREE[plain](present, first, second, third)
        self._acting.become(caller, present, new)
        return 0

    def set_file_system(self, caller: Caller, name: str) -> int | None:
        present = self._acting.anybody(caller)
        if present is None:
            return None
        is_short, plain = _shape(caller, name)
        wanted = _wanted(caller.arguments[0], is_short=is_short)
        if plain == "setfsuid":
            old, new = present.uids, credentials.setfsuid(present, wanted)
        else:
            old, new = present.gids, credentials.setfsgid(present, wanted)
        self._acting.become(caller, present, new)
        return old.file_system  # whole, with 16 bits too

    def set_groups(self, caller: Caller, name: str) -> int | None:
        present = self._acting.anybody(caller)
        if present is None:
            return None
        credentials.setgroups(present, ())  # may it? That comes first
        count, address = caller.arguments[0] & 0xFFFFFFFF, caller.arguments[1]
        if count > MOST_GROUPS:
            raise no_such(errno.EINVAL)
        is_short, _ = _shape(caller, name)
        layout = struct.Struct(f"={count}{'H' if is_short else 'I'}")
        read = layout.unpack(caller.read(address, layout.size)) if count else ()
        groups = tuple(_wanted(group, is_short=is_short) for group in read)
        self._acting.become(caller, present, credentials.setgroups(present, groups))
        return 0


def _shape(caller: Caller, name: str) -> tuple[bool, str]:
    """Return whether ids have 16 bits, and the call's name on other architectures."""
    is_short = caller.has_short_ids and name in calls.SHORT_IDS
    return is_short, name.removesuffix("32")


def _wanted(argument: int, *, is_short: bool) -> int:
    if not is_short:
        return argument & 0xFFFFFFFF
    short = argument & 0xFFFF
    return KEEP if short == _SHORT_KEEP else short


def _shown(number: int, *, is_short: bool) -> int:
    return _OVERFLOW if is_short and number > _SHORT_KEEP else number


def _packed(ids: tuple[int, ...], *, is_short: bool) -> bytes:
    shown = (_shown(number, is_short=is_short) for number in ids)
    return struct.pack(f"={len(ids)}{'H' if is_short else 'I'}", *shown)
