"""The seccomp filter of each level of emulation.

What it does not know it allows: it is a help, no barrier. Other architectures are allowed whole,
x32 too, whose numbers match none of x86-64's.
"""

import os
import stat
from itertools import chain

from rootrun.errors import RootrunError
from rootrun.fakeroot import bpf, calls
from rootrun.fakeroot.bpf import Item
from rootrun.fakeroot.level import Level

_ARCHITECTURES = {
    "x86_64": (calls.AUDIT_ARCH_X86_64, calls.AUDIT_ARCH_I386),
    "aarch64": (calls.AUDIT_ARCH_AARCH64,),
}
_FILE_TYPE = 0o170000  # S_IFMT
_MODE_ARGUMENT = {"mknod": 1, "mknodat": 2}  # and the device is the next


def is_known_machine() -> bool:
    """Say whether there is a filter for this machine's calls."""
    return os.uname().machine in _ARCHITECTURES


def filter_program(level: Level, *, machine: str | None = None) -> bytes:
    """Return the filter of ``level``, an array of struct sock_filter.

    ``machine`` is as uname(2) has it, by default this one.

    Calls to remember are asked about (SECCOMP_RET_USER_NOTIF) where the level remembers, and else
    succeed without effect, as do those that set ids. A ``ValueError`` for OFF, which has none.
    """
    if level is Level.OFF:
        raise ValueError("level off has no filter")
    machine = machine or os.uname().machine
    if machine not in _ARCHITECTURES:
        raise RootrunError(
            f"emulate root: {machine}: its system calls are not known",
            hint="--emulate off runs the script without",
        )
    sections = (_section(arch, level) for arch in _ARCHITECTURES[machine])
    return bpf.assemble([*chain.from_iterable(sections), bpf.answer(bpf.RETURN_ALLOW)])


def _section(arch: int, level: Level) -> list[Item]:
    """Return what is done about calls of one architecture, and go on behind it for others."""
    here, end = f"{arch:x}", f"{arch:x} end"
    asked = [*calls.CHOWN[arch].values()]
    if level is Level.FULL:
        asked += calls.STAT[arch].values()
    return [
        bpf.load(bpf.OFFSET_ARCH),
        bpf.jump_if_equal(arch, "", end),
        bpf.load(bpf.OFFSET_NUMBER),
        *(bpf.jump_if_equal(number, f"{here} ask") for number in asked),
        *(
            bpf.jump_if_equal(number, f"{here} {name}")
            for name, number in calls.MKNOD[arch].items()
        ),
        *(bpf.jump_if_equal(number, f"{here} feign") for number in calls.SET_IDS[arch].values()),
        bpf.answer(bpf.RETURN_ALLOW),
        *chain.from_iterable(_mknod(here, name) for name in calls.MKNOD[arch]),
        f"{here} allow",
        bpf.answer(bpf.RETURN_ALLOW),
        f"{here} ask",
        bpf.answer(bpf.RETURN_NOTIFY if level.remembers else bpf.RETURN_SUCCESS),
        f"{here} feign",
        bpf.answer(bpf.RETURN_SUCCESS),
        end,
    ]


def _mknod(here: str, name: str) -> list[Item]:
    """Ask about devices alone; 0:0 is no device but a whiteout, which everybody may make."""
    mode = _MODE_ARGUMENT[name]
    return [
        f"{here} {name}",
        bpf.load_argument(mode),
        bpf.mask(_FILE_TYPE),
        bpf.jump_if_equal(stat.S_IFBLK, f"{here} ask"),
        bpf.jump_if_equal(stat.S_IFCHR, "", f"{here} allow"),
        bpf.load_argument(mode + 1),
        bpf.jump_if_equal(0, f"{here} allow", f"{here} ask"),
    ]
