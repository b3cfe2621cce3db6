"""Credentials change as the kernel changes them, which is asked."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootrun.fakeroot import credentials
from rootrun.fakeroot.credentials import (
    ALL_CAPABILITIES,
    KEEP,
    KEEP_CAPS,
    NO_ROOT,
    NO_SETUID_FIXUP,
    ROOT,
    Credentials,
)
from tests.fakeroot.kernel import Call, Said, in_child, make_call, present_status, said_of
from tests.support.public import make_public_directory
from tests.support.require import require_program

_IDS = st.sampled_from([KEEP, 0, 1, 2, 1000])
_CAPABILITIES = st.one_of(
    st.sampled_from([0, ALL_CAPABILITIES, 1 << 63]),
    st.sets(st.integers(0, 40)).map(lambda numbers: sum(1 << number for number in numbers)),
)
_SECUREBITS = [0, NO_ROOT, NO_SETUID_FIXUP, KEEP_CAPS, NO_SETUID_FIXUP | KEEP_CAPS]


def _with_ids(*names: str, count: int) -> st.SearchStrategy[Call]:
    return st.builds(Call, st.sampled_from(names), st.tuples(*[_IDS] * count))


_CALLS = st.lists(
    st.one_of(
        _with_ids("setuid", "setgid", "setfsuid", "setfsgid", count=1),
        _with_ids("setreuid", "setregid", count=2),
        _with_ids("setresuid", "setresgid", count=3),
        st.builds(Call, st.just("setgroups"), st.lists(_IDS, max_size=4).map(tuple)),
        st.builds(Call, st.just("capset"), st.tuples(*[_CAPABILITIES] * 3)),
        st.builds(Call, st.just("keepcaps"), st.tuples(st.sampled_from([0, 1]))),
        st.builds(Call, st.just("securebits"), st.tuples(st.sampled_from(_SECUREBITS))),
    ),
    max_size=10,
)


_FUNCTIONS: dict[str, Callable[..., Credentials]] = {  # type: ignore[explicit-any] # arities differ
    name: getattr(credentials, name)
    for kind in ("uid", "gid")
    for name in (f"set{kind}", f"setfs{kind}", f"setre{kind}", f"setres{kind}")
}


class Program(NamedTuple):
    """The mode and the owner of a program."""

    mode: int
    uid: int
    gid: int


_OWNERS = st.sampled_from([0, 1, 1000])
_PROGRAMS = st.one_of(
    st.builds(Program, st.sampled_from([0o755, 0o4755, 0o2755, 0o6755]), _OWNERS, _OWNERS),
    st.builds(Program, st.just(0o6745), _OWNERS, st.just(7)),  # a group that nobody is in
)


@pytest.fixture(scope="module")
def public() -> Iterator[Path]:
    """A directory that all can reach, with a program that shows files."""
    path = make_public_directory("credentials")
    shutil.copy(require_program("cat"), path / "cat")
    yield path
    shutil.rmtree(path)


def follow(present: Credentials, call: Call) -> Credentials:
    """Return what the module makes of a call."""
    match call:
        case ("setgroups", groups):
            return credentials.setgroups(present, groups)
        case ("capset", (effective, permitted, inheritable)):
            masks = {"effective": effective, "permitted": permitted, "inheritable": inheritable}
            return credentials.capset(present, **masks)
        case ("keepcaps", (keeps,)):
            return credentials.set_keepcaps(present, keeps=bool(keeps))
        case ("securebits", (bits,)):
            return credentials.set_securebits(present, bits)
    return _FUNCTIONS[call.name](present, *call.arguments)


def expect(error: int, present: Credentials) -> Said:
    """Return what the kernel is to say."""
    masks = (present.inheritable, present.permitted, present.effective)
    return [error, *map(list, (present.uids, present.gids, present.groups)), *masks]


def follow_all(sequence: Iterable[Call]) -> tuple[Credentials, list[Said]]:
    """Return what comes of a sequence, and what the kernel is to say after each call."""
    present, said = ROOT, []
    for call in sequence:
        error = 0
        try:
            present = follow(present, call)
        except OSError as refusal:
            error = refusal.errno or -1
        said.append(expect(error, present))
    return present, said


@pytest.mark.root
@settings(max_examples=500, deadline=None)
@given(sequence=_CALLS)
def test_calls_do_what_the_kernel_does(sequence: list[Call]) -> None:
    def make_all() -> None:
        said = [said_of(make_call(call), present_status()) for call in sequence]
        os.write(1, json.dumps(said).encode())

    assert json.loads(in_child(make_all)) == follow_all(sequence)[1]


@pytest.mark.root
@settings(max_examples=250, deadline=None)
@given(sequence=_CALLS, program=_PROGRAMS)
def test_execution_does_what_the_kernel_does(
    sequence: list[Call], program: Program, public: Path
) -> None:
    path = public / "cat"
    os.chown(path, program.uid, program.gid)
    path.chmod(program.mode)

    def make_all_and_execute() -> None:
        for call in sequence:
            make_call(call)
        os.execv(path, ["cat", "/proc/self/status"])

    set_uid = program.uid if program.mode & 0o4000 else None
    set_gid = program.gid if program.mode & 0o2010 == 0o2010 else None
    after = credentials.after_exec(follow_all(sequence)[0], set_uid=set_uid, set_gid=set_gid)
    assert said_of(0, in_child(make_all_and_execute)) == expect(0, after)
