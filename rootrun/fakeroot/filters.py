"""The seccomp filter of a run: which calls are asked about, feigned, trapped or left alone.

What it does not know it allows: it is a help, no barrier. Other architectures are allowed whole,
x32 too, whose numbers match none of x86-64's.
"""

import errno
import os
from collections.abc import Iterator
from itertools import chain

from rootrun.dataclass import dataclass
from rootrun.errors import RootrunError
from rootrun.fakeroot import calls
from rootrun.fakeroot.conditions import (
    Condition,
    if_any_bit,
    if_creating,
    if_device,
    if_foreign_owner,
    if_keeping_capabilities,
    if_kernel_faults,
    if_made,
    if_marking_limit,
    if_peer_credentials,
    if_writing,
)
from rootrun.fakeroot.level import Level
from rootrun.fakeroot.ownership import StandIns
from rootrun.sandbox import bpf
from rootrun.sandbox.bpf import Item

_ARCHITECTURES = {
    "x86_64": (bpf.AUDIT_ARCH_X86_64, bpf.AUDIT_ARCH_I386),
    "aarch64": (bpf.AUDIT_ARCH_AARCH64,),
}
_SET_IDS = 0o6000  # S_ISUID | S_ISGID
_VERDICTS = {
    "ask": bpf.RETURN_NOTIFY,
    "feign": bpf.RETURN_SUCCESS,
    "trap": bpf.RETURN_TRAP,
    "deny": bpf.RETURN_ERRNO | errno.EPERM,
    "allow": bpf.RETURN_ALLOW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterPlan:
    """What the filter of a run has to cover.

    ``is_lone``: a single id is mapped, so that ids are emulated too. From ``foreign_uid`` and
    ``foreign_gid`` on, the id map lacks ids; the ones before stand for them on the disk.
    ``base_is_recorded``: the disk misstates owners of the base. ``is_restricted``: a filter above
    this one refuses set-id modes and extended attributes.
    """

    level: Level
    is_lone: bool = True
    foreign_uid: int = 1
    foreign_gid: int = 1
    base_is_recorded: bool = True
    is_restricted: bool = False
    may_trap: bool = True

    @property
    def stand_ins(self) -> StandIns | None:
        """The ids on the disk that stand for those that the map lacks, None if it has but one."""
        return None if self.is_lone else StandIns(self.foreign_uid - 1, self.foreign_gid - 1)

    @property
    def is_guarded(self) -> bool:
        """Whether calls are asked about because not everybody may make them."""
        return self.is_lone and self.level is Level.FULL


@dataclass(frozen=True, slots=True)
class _Rule:
    """What is done about calls: ``verdict``, if the condition holds."""

    names: calls.Names
    verdict: str
    condition: Condition | None = None
    otherwise: str = "allow"


def is_known_machine() -> bool:
    """Say whether there is a filter for this machine's calls."""
    return os.uname().machine in _ARCHITECTURES


def filter_program(plan: FilterPlan, *, machine: str | None = None) -> bytes:
    """Return the filter of ``plan``, an array of struct sock_filter.

    ``machine`` is as uname(2) has it, by default this one. A ``ValueError`` for level OFF, which
    has none; RootrunError for a machine whose calls are not known.
    """
    if plan.level is Level.OFF:
        raise ValueError("level off has no filter")
    machine = machine or os.uname().machine
    if machine not in _ARCHITECTURES:
        raise RootrunError(
            f"emulate root: {machine}: its system calls are not known",
            hint="--emulate off runs the script without",
        )
    rules = list(_rules(plan))
    sections = (_section(arch, rules) for arch in _ARCHITECTURES[machine])
    return bpf.assemble([*chain.from_iterable(sections), bpf.answer(bpf.RETURN_ALLOW)])


def _rules(plan: FilterPlan) -> Iterator[_Rule]:
    if plan.level is Level.FAST:
        yield _Rule(calls.CHOWN, "feign")
        yield _Rule(calls.MKNOD, "feign", if_device)
        yield _Rule((*calls.SET_IDS, "capset"), "feign")
        return
    # A page of the caller's that another process of its fills may stall who reads it.
    yield _Rule(("userfaultfd",), "deny", if_kernel_faults)
    if plan.level is Level.FULL:
        yield _Rule(calls.STAT, "ask")
    is_any_asked = plan.is_lone or plan.is_restricted
    if is_any_asked or plan.base_is_recorded or plan.level is Level.FULL:
        yield _Rule(calls.RENAME, "ask")
    if is_any_asked:
        yield from _making_rules(plan)
        yield from _lone_rules(plan) if plan.is_lone else _privilege_rules(plan)
    else:
        foreign = if_foreign_owner(plan.foreign_uid - 1, plan.foreign_gid - 1)
        yield _Rule(calls.CHOWN, "ask", None if plan.base_is_recorded else foreign)
        yield _Rule(calls.MKNOD, "ask", if_device)


def _making_rules(plan: FilterPlan) -> Iterator[_Rule]:
    """Yield the rules for whose any file is, new ones too."""
    yield _Rule(calls.CHOWN, "ask")
    yield _Rule(calls.MKNOD, "ask", if_made)
    yield _Rule((*calls.CREATE, "creat", "openat2"), "ask")
    sees_writing = plan.level is Level.FULL or plan.is_restricted
    yield _Rule(("open", "openat"), "ask", if_writing if sees_writing else if_creating)


def _lone_rules(plan: FilterPlan) -> Iterator[_Rule]:
    yield _Rule((*calls.GET_IDS, *calls.SET_IDS, *calls.CAPABILITIES, *calls.EXECUTE), "ask")
    yield _Rule(("prctl",), "ask", if_keeping_capabilities)
    yield _Rule(("getsockopt",), "ask", if_peer_credentials)
    yield _Rule(calls.LIMITS, "ask", if_marking_limit)
    if plan.is_guarded:
        yield _Rule(calls.GUARDED, "ask")
    if plan.is_restricted:
        yield from _privilege_rules(plan)
        return
    yield _Rule((*calls.SET_XATTR, *calls.REMOVE_XATTR), "ask")
    if plan.is_guarded:
        yield _Rule((*calls.CHMOD, *calls.GET_XATTR), "ask")


def _privilege_rules(plan: FilterPlan) -> Iterator[_Rule]:
    """Yield the rules for what a filter above this one refuses, and what takes it away."""
    refused = "trap" if plan.may_trap else "ask"
    yield _Rule(calls.CHMOD, refused, if_any_bit(_SET_IDS), otherwise="ask")
    attributes = (*calls.SET_XATTR, *calls.REMOVE_XATTR, *calls.GET_XATTR, *calls.LIST_XATTR)
    yield _Rule(attributes, refused)
    if not plan.is_guarded:  # it is asked about then
        yield _Rule(calls.TRUNCATE, "ask")


def _section(arch: int, rules: list[_Rule]) -> list[Item]:
    """Return what is done about calls of one architecture, and go on behind it for others.

    What is done stands behind each number, so that no jump is too far for its 8 bits.
    """
    here, end = f"{arch:x}", f"{arch:x} end"
    tests: list[Item] = []
    for rule in rules:
        for name, number in calls.numbers(rule.names, arch).items():
            other = f"{here} not {name}"
            is_short = arch == bpf.AUDIT_ARCH_I386 and name in calls.SHORT_IDS
            done = _done(rule, name, f"{here} {name}", is_short=is_short)
            tests += [bpf.jump_if_equal(number, "", other), *done, other]
    return [
        bpf.load(bpf.OFFSET_ARCH),
        *_long_jump_unless(arch, end),
        bpf.load(bpf.OFFSET_NUMBER),
        *tests,
        bpf.answer(bpf.RETURN_ALLOW),
        end,
    ]


def _done(rule: _Rule, name: str, label: str, *, is_short: bool) -> list[Item]:
    """Return what is done about the call ``name``; it ends with an answer."""
    if rule.condition is None:
        return [bpf.answer(_VERDICTS[rule.verdict])]
    yes, no = f"{label} yes", f"{label} no"
    return [
        *rule.condition(name, yes, no, is_short),
        *(yes, bpf.answer(_VERDICTS[rule.verdict])),
        *(no, bpf.answer(_VERDICTS[rule.otherwise])),
    ]


def _long_jump_unless(arch: int, end: str) -> list[Item]:
    """Go on if the architecture is ``arch``, else behind the section, however far that is."""
    here = f"{arch:x} begin"
    return [bpf.jump_if_equal(arch, here), bpf.jump(end), here]
