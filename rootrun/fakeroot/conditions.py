"""What a filter looks at in the arguments of a call, beside its number."""

import os
import stat
from collections.abc import Callable

from rootrun.sandbox import bpf
from rootrun.sandbox.bpf import Item

Condition = Callable[[str, str, str, bool], list[Item]]
"""Takes a call's name, the labels for yes and no, and whether its ids have 16 bits (i386).

Returns instructions that end in one of the labels. They are for one call, so that labels of their
own begin with that of yes and the call's name.
"""

_FILE_TYPE = 0o170000  # S_IFMT
_TMPFILE = 0o20000000  # __O_TMPFILE, the bit of O_TMPFILE that is no other flag
_KEEP, _KEEP_SHORT = 0xFFFFFFFF, 0xFFFF
_PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 8, 28, 38
_SOL_SOCKET, _SO_PEERCRED = 1, 17
_UFFD_USER_MODE_ONLY = 1
_RLIMIT_LOCKS = 10


def _first(name: str) -> int:
    """Return the index of the first argument after what names the file."""
    return 2 if name.endswith(("at", "at2")) else 1


def if_any_bit(bits: int) -> Condition:
    """Return the condition that the first argument after the file's has any of ``bits``."""

    def condition(name: str, yes: str, no: str, _: bool) -> list[Item]:
        return [bpf.load_argument(_first(name)), bpf.jump_if_any(bits, yes, no)]

    return condition


if_creating: Condition = if_any_bit(os.O_CREAT | _TMPFILE)
if_writing: Condition = if_any_bit(os.O_CREAT | _TMPFILE | os.O_ACCMODE | os.O_TRUNC)


def if_device(name: str, yes: str, no: str, _: bool) -> list[Item]:
    """Hold for devices alone; 0:0 is no device but a whiteout, which everybody may make."""
    mode = _first(name)
    return [
        bpf.load_argument(mode),
        bpf.mask(_FILE_TYPE),
        bpf.jump_if_equal(stat.S_IFBLK, yes),
        bpf.jump_if_equal(stat.S_IFCHR, "", no),
        bpf.load_argument(mode + 1),
        bpf.jump_if_equal(0, no, yes),
    ]


def if_made(name: str, yes: str, no: str, _: bool) -> list[Item]:
    """Hold for all that mknod(2) makes but whiteouts."""
    mode = _first(name)
    return [
        bpf.load_argument(mode),
        bpf.mask(_FILE_TYPE),
        bpf.jump_if_equal(stat.S_IFCHR, "", yes),
        bpf.load_argument(mode + 1),
        bpf.jump_if_equal(0, no, yes),
    ]


def if_foreign_owner(foreign_uid: int, foreign_gid: int) -> Condition:
    """Return the condition that a chown call names an id from those on, which is not -1."""

    def condition(name: str, yes: str, no: str, is_short: bool) -> list[Item]:
        uid = _first(name)
        group, keep = f"{yes} {name} group", _KEEP_SHORT if is_short else _KEEP
        return [
            bpf.load_argument(uid),
            bpf.mask(keep),
            bpf.jump_if_equal(keep, group),
            bpf.jump_if_at_least(foreign_uid, yes),
            group,
            bpf.load_argument(uid + 1),
            bpf.mask(keep),
            bpf.jump_if_equal(keep, no),
            bpf.jump_if_at_least(foreign_gid, yes, no),
        ]

    return condition


def if_keeping_capabilities(_: str, yes: str, no: str, __: bool) -> list[Item]:
    """Hold for the prctl(2) calls that say what is left of a root who changes user, or executes."""
    return [
        bpf.load_argument(0),
        bpf.jump_if_equal(_PR_SET_KEEPCAPS, yes),
        bpf.jump_if_equal(_PR_SET_NO_NEW_PRIVS, yes),
        bpf.jump_if_equal(_PR_SET_SECUREBITS, yes, no),
    ]


def if_peer_credentials(_: str, yes: str, no: str, __: bool) -> list[Item]:
    """Hold for getsockopt(2) of SO_PEERCRED."""
    return [
        bpf.load_argument(1),
        bpf.jump_if_equal(_SOL_SOCKET, "", no),
        bpf.load_argument(2),
        bpf.jump_if_equal(_SO_PEERCRED, yes, no),
    ]


def if_kernel_faults(_: str, yes: str, no: str, __: bool) -> list[Item]:
    """Hold for a userfaultfd(2) that would have other processes wait for its owner, too."""
    return [bpf.load_argument(0), bpf.jump_if_any(_UFFD_USER_MODE_ONLY, no, yes)]


def if_marking_limit(name: str, yes: str, no: str, _: bool) -> list[Item]:
    """Hold for the limit that ``rootrun.fakeroot.identities`` keeps its markers in."""
    resource = 1 if name == "prlimit64" else 0
    return [bpf.load_argument(resource), bpf.jump_if_equal(_RLIMIT_LOCKS, yes, no)]
