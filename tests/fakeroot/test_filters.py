"""What the filter says to each call, by running its program."""

import errno
import os

import pytest

from rootrun.dataclass import replace
from rootrun.errors import RootrunError
from rootrun.fakeroot import calls
from rootrun.fakeroot.filters import FilterPlan, filter_program
from rootrun.fakeroot.level import Level
from rootrun.sandbox import bpf
from tests.support.filter_program import answer_of

_MACHINES = {
    bpf.AUDIT_ARCH_X86_64: "x86_64",
    bpf.AUDIT_ARCH_I386: "x86_64",
    bpf.AUDIT_ARCH_AARCH64: "aarch64",
}
_EACH_ARCH = pytest.mark.parametrize("arch", _MACHINES, ids=["x86_64", "i386", "aarch64"])
_CHARACTER, _BLOCK, _FIFO, _REGULAR, _SOCKET = 0o020000, 0o060000, 0o010000, 0o100000, 0o140000
_X32_BIT = 0x40000000
_TMPFILE = 0o20000000
ASK, ALLOW, FEIGN, TRAP = (
    bpf.RETURN_NOTIFY,
    bpf.RETURN_ALLOW,
    bpf.RETURN_SUCCESS,
    bpf.RETURN_TRAP,
)
_REMEMBERING = (Level.FULL, Level.RECORD)
MANY = FilterPlan(
    level=Level.RECORD, is_lone=False, foreign_uid=65538, foreign_gid=101, base_is_recorded=False
)


def lone(level: Level = Level.RECORD, *, is_restricted: bool = False) -> FilterPlan:
    """Return the plan of a container with one id."""
    return FilterPlan(level=level, is_restricted=is_restricted)


def say(plan: FilterPlan, arch: int, number: int, *arguments: int) -> int:
    return answer_of(filter_program(plan, machine=_MACHINES[arch]), arch, number, *arguments)


def said(plan: FilterPlan, arch: int, names: calls.Names, *arguments: int) -> set[int]:
    """Return what is said to calls of ``names``, whose paths come before ``arguments``."""
    return {
        say(plan, arch, number, *((9,) * (2 if name.endswith(("at", "at2")) else 1)), *arguments)
        for name, number in calls.numbers(names, arch).items()
    }


@_EACH_ARCH
@pytest.mark.parametrize(
    ("level", "answer"), [(Level.FULL, ASK), (Level.RECORD, ASK), (Level.FAST, FEIGN)]
)
def test_what_sets_owners_and_ids_is_answered(level: Level, answer: int, arch: int) -> None:
    assert said(lone(level), arch, calls.CHOWN) == {answer}
    assert said(lone(level), arch, (*calls.SET_IDS, "capset")) == {answer}


@_EACH_ARCH
def test_ids_are_asked_about_where_they_are_remembered(arch: int) -> None:
    asked = (*calls.GET_IDS, *calls.EXECUTE, *calls.RENAME, *calls.CREATE, "capget")
    for level in _REMEMBERING:
        assert said(lone(level), arch, asked) == {ASK}
    assert said(lone(Level.FAST), arch, asked) == {ALLOW}


@_EACH_ARCH
@pytest.mark.parametrize(
    ("kind", "device", "answers"),
    [
        pytest.param(_CHARACTER, 0x103, (ASK, ASK), id="character device"),
        pytest.param(_BLOCK, 0x801, (ASK, ASK), id="block device"),
        pytest.param(_BLOCK, 0, (ASK, ASK), id="block device 0:0"),
        pytest.param(_CHARACTER, 0, (ALLOW, ALLOW), id="whiteout"),
        pytest.param(_FIFO, 0x103, (ASK, ALLOW), id="fifo"),
        pytest.param(_REGULAR, 0, (ASK, ALLOW), id="regular"),
        pytest.param(_SOCKET, 0, (ASK, ALLOW), id="socket"),
    ],
)
def test_of_new_nodes_devices_are_asked_about_and_all_with_one_id(
    kind: int, device: int, answers: tuple[int, int], arch: int
) -> None:
    for plan, answer in zip((lone(), MANY), answers, strict=True):
        assert said(plan, arch, calls.MKNOD, kind | 0o6777, device) == {answer}


@_EACH_ARCH
@pytest.mark.parametrize(
    ("flags", "answer"),
    [
        (os.O_RDONLY, ALLOW),
        (os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW, ALLOW),
        (os.O_WRONLY, ASK),
        (os.O_RDONLY | os.O_TRUNC, ASK),
        (os.O_WRONLY | os.O_CREAT, ASK),
        (os.O_RDWR | _TMPFILE, ASK),
    ],
    ids=["reading", "a directory", "writing", "truncating", "creating", "without a name"],
)
def test_opening_is_asked_about_where_it_makes_or_writes_a_file(
    flags: int, answer: int, arch: int
) -> None:
    makes_file = flags & (os.O_CREAT | _TMPFILE)
    assert said(lone(Level.FULL), arch, ("open", "openat"), flags) == {answer}
    assert said(lone(), arch, ("open", "openat"), flags) == {ASK if makes_file else ALLOW}
    assert said(MANY, arch, calls.OPEN, flags) == {ALLOW}


@_EACH_ARCH
def test_stat_is_asked_about_in_full_alone(arch: int) -> None:
    assert said(lone(Level.FULL), arch, calls.STAT) == {ASK}
    assert said(lone(Level.RECORD), arch, calls.STAT) == {ALLOW}


@_EACH_ARCH
@pytest.mark.parametrize(
    ("uid", "gid", "answer"),
    [
        (1000, 99, ALLOW),
        (65536, 2**32 - 1, ALLOW),
        (2**32 - 1, 100, ASK),
        (65537, 0, ASK),
        (2**31, 2**31, ASK),
    ],
)
def test_with_many_ids_only_the_missing_ones_are_asked_about(
    uid: int, gid: int, answer: int, arch: int
) -> None:
    names = tuple(
        name for name in calls.CHOWN if arch != bpf.AUDIT_ARCH_I386 or name not in calls.SHORT_IDS
    )
    assert said(MANY, arch, names, uid, gid) == {answer}
    assert said(MANY, arch, (*calls.SET_IDS, *calls.GET_IDS, *calls.EXECUTE)) == {ALLOW}


def test_short_ids_of_minus_one_are_none() -> None:
    short = ("chown", "fchown", "lchown")
    assert said(MANY, bpf.AUDIT_ARCH_I386, short, 0xFFFF, 0xFFFF) == {ALLOW}
    assert said(MANY, bpf.AUDIT_ARCH_I386, short, 0xFFFF, 100) == {ASK}


@_EACH_ARCH
@pytest.mark.parametrize(
    "plan", [lone(is_restricted=True), replace(MANY, is_restricted=True)], ids=["one id", "many"]
)
def test_what_a_filter_above_refuses_is_trapped(plan: FilterPlan, arch: int) -> None:
    xattrs = (*calls.SET_XATTR, *calls.GET_XATTR, *calls.LIST_XATTR, *calls.REMOVE_XATTR)
    assert said(plan, arch, xattrs) == {TRAP}
    assert said(plan, arch, calls.CHMOD, 0o4755) == {TRAP}
    assert said(plan, arch, calls.CHMOD, 0o2755) == {TRAP}
    assert said(plan, arch, calls.CHMOD, 0o1755) == {ASK}
    assert said(lone(Level.FULL), arch, calls.CHMOD, 0o4755) == {ASK}
    assert said(plan, arch, ("open", "openat"), os.O_WRONLY) == {ASK}
    assert said(plan, arch, (*calls.CHOWN, *calls.CREATE, *calls.RENAME, *calls.TRUNCATE)) == {ASK}


@_EACH_ARCH
def test_many_ids_need_no_answers_about_who_a_process_is(arch: int) -> None:
    plan = replace(MANY, level=Level.FULL, is_restricted=True)
    assert said(plan, arch, (*calls.GET_IDS, *calls.SET_IDS, *calls.EXECUTE)) == {ALLOW}


@_EACH_ARCH
def test_where_nothing_may_be_traced_what_is_let_through_is_asked_about(arch: int) -> None:
    plan = replace(lone(is_restricted=True), may_trap=False)
    assert said(plan, arch, (*calls.SET_XATTR, *calls.LIST_XATTR)) == {ASK}
    assert said(plan, arch, calls.CHMOD, 0o4755) == said(plan, arch, calls.CHMOD, 0o755) == {ASK}


@_EACH_ARCH
def test_nobody_may_have_the_kernel_wait_for_a_page(arch: int) -> None:
    number = calls.NUMBERS["userfaultfd"][calls.ARCHITECTURES.index(arch)] or 0
    for level in _REMEMBERING:
        assert say(lone(level), arch, number, os.O_CLOEXEC) == bpf.RETURN_ERRNO | errno.EPERM
        assert say(lone(level), arch, number, os.O_CLOEXEC | 1) == ALLOW


@_EACH_ARCH
def test_few_options_are_asked_about(arch: int) -> None:
    column = calls.ARCHITECTURES.index(arch)
    prctl, getsockopt = (calls.NUMBERS[name][column] or 0 for name in ("prctl", "getsockopt"))
    asked = {option for option in range(80) if say(lone(), arch, prctl, option) == ASK}
    assert asked == {8, 28, 38}  # PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS
    assert say(lone(), arch, getsockopt, 3, 1, 17) == ASK  # SOL_SOCKET, SO_PEERCRED
    assert say(lone(), arch, getsockopt, 3, 1, 16) == ALLOW
    assert say(lone(), arch, getsockopt, 3, 6, 17) == ALLOW


@_EACH_ARCH
def test_of_limits_that_of_locks_is_asked_about(arch: int) -> None:
    for name, number in calls.numbers(calls.LIMITS, arch).items():
        before = (0,) if name == "prlimit64" else ()
        asked = {limit for limit in range(32) if say(lone(), arch, number, *before, limit) == ASK}
        assert asked == {10}
        assert say(MANY, arch, number, *before, 10) == ALLOW


@_EACH_ARCH
@pytest.mark.parametrize("is_restricted", [False, True], ids=["plain", "restricted"])
def test_what_not_everybody_may_do_is_asked_about_in_full_alone(
    arch: int, *, is_restricted: bool
) -> None:
    assert said(lone(Level.FULL, is_restricted=is_restricted), arch, calls.GUARDED) == {ASK}
    assert said(lone(Level.FULL), arch, calls.CHMOD, 0o755) == {ASK}
    for plan in (lone(), lone(Level.FAST), MANY):
        assert said(plan, arch, (*calls.GUARDED, *calls.CHMOD)) == {ALLOW}


@_EACH_ARCH
def test_all_other_calls_are_allowed(arch: int) -> None:
    known = set(calls.numbers(calls.NUMBERS, arch).values())
    for plan in (lone(Level.FULL), lone(is_restricted=True), MANY, lone(Level.FAST)):
        program = filter_program(plan, machine=_MACHINES[arch])
        for number in set(range(512)) - known:
            assert answer_of(program, arch, number, 0o020000, 0o020000, 0o020000, 5) == ALLOW


def test_calls_of_other_architectures_are_allowed() -> None:
    x86, arm = (filter_program(lone(Level.FULL), machine=name) for name in ("x86_64", "aarch64"))
    for number in range(512):
        assert answer_of(x86, bpf.AUDIT_ARCH_X86_64, number | _X32_BIT) == ALLOW
        assert answer_of(arm, bpf.AUDIT_ARCH_X86_64, number) == ALLOW


@_EACH_ARCH
def test_no_two_calls_have_the_same_number(arch: int) -> None:
    numbers = calls.numbers(calls.NUMBERS, arch)
    assert len(set(numbers.values())) == len(numbers)


def test_level_off_has_no_filter() -> None:
    with pytest.raises(ValueError, match="off"):
        filter_program(lone(Level.OFF))


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(RootrunError, match="s390x: its system calls are not known"):
        filter_program(lone(), machine="s390x")


@pytest.mark.parametrize("labels", [["there", "there"], []], ids=["twice", "missing"])
def test_a_label_has_to_be_there_once(labels: list[str]) -> None:
    with pytest.raises(ValueError, match="there"):
        bpf.assemble([bpf.jump_if_equal(1, "there"), *labels, bpf.answer(0)])


def test_only_a_jump_without_condition_goes_far() -> None:
    between: list[bpf.Item] = [bpf.load(0)] * 256
    end: list[bpf.Item] = ["far", bpf.answer(0)]
    assert bpf.assemble([bpf.jump("far"), *between, *end])
    with pytest.raises(ValueError, match="too far"):
        bpf.assemble([bpf.jump_if_equal(1, "far"), *between, *end])
