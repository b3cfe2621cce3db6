"""What the filter says to each call, by running its program."""

import struct

import pytest

from rootrun.errors import RootrunError
from rootrun.fakeroot import bpf, calls
from rootrun.fakeroot.filters import filter_program
from rootrun.fakeroot.level import Level

_MACHINES = {
    calls.AUDIT_ARCH_X86_64: "x86_64",
    calls.AUDIT_ARCH_I386: "x86_64",
    calls.AUDIT_ARCH_AARCH64: "aarch64",
}
_EACH_ARCH = pytest.mark.parametrize("arch", _MACHINES, ids=["x86_64", "i386", "aarch64"])
_CHARACTER, _BLOCK, _FIFO, _REGULAR, _SOCKET = 0o020000, 0o060000, 0o010000, 0o100000, 0o140000
_X32_BIT = 0x40000000


def _run(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Return what the kernel would."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    call = struct.pack("=IIQ6Q", number, arch, 0, *padded)
    instructions = list(bpf.disassemble(program))
    position = accumulator = 0
    while True:
        code, if_true, if_false, operand = instructions[position]
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", call, operand)
            case 0x15:
                position += if_true if accumulator == operand else if_false
            case 0x54:
                accumulator &= operand
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"code {code:#x}")


def _say(level: Level, arch: int, number: int, *arguments: int) -> int:
    return _run(filter_program(level, machine=_MACHINES[arch]), arch, number, *arguments)


@_EACH_ARCH
@pytest.mark.parametrize(
    ("level", "answer"),
    [
        (Level.FULL, bpf.RETURN_NOTIFY),
        (Level.RECORD, bpf.RETURN_NOTIFY),
        (Level.FAST, bpf.RETURN_SUCCESS),
    ],
    ids=["full", "record", "fast"],
)
def test_chown_is_remembered_or_succeeds(level: Level, answer: int, arch: int) -> None:
    assert {_say(level, arch, number) for number in calls.CHOWN[arch].values()} == {answer}


@_EACH_ARCH
def test_ids_seem_to_be_set_at_every_level(arch: int) -> None:
    for level in (Level.FULL, Level.RECORD, Level.FAST):
        for number in calls.SET_IDS[arch].values():
            assert _say(level, arch, number) == bpf.RETURN_SUCCESS


@_EACH_ARCH
@pytest.mark.parametrize(
    ("kind", "device", "answer"),
    [
        pytest.param(_CHARACTER, 0x103, bpf.RETURN_NOTIFY, id="character device"),
        pytest.param(_BLOCK, 0x801, bpf.RETURN_NOTIFY, id="block device"),
        pytest.param(_BLOCK, 0, bpf.RETURN_NOTIFY, id="block device 0:0"),
        pytest.param(_CHARACTER, 0, bpf.RETURN_ALLOW, id="whiteout"),
        pytest.param(_FIFO, 0x103, bpf.RETURN_ALLOW, id="fifo"),
        pytest.param(_REGULAR, 0, bpf.RETURN_ALLOW, id="regular"),
        pytest.param(_SOCKET, 0, bpf.RETURN_ALLOW, id="socket"),
        pytest.param(0, 0x103, bpf.RETURN_ALLOW, id="no type"),
    ],
)
def test_only_devices_are_asked_about(kind: int, device: int, answer: int, arch: int) -> None:
    for name, number in calls.MKNOD[arch].items():
        first = [3, 0xDEAD] if name == "mknodat" else [0xDEAD]
        assert _say(Level.RECORD, arch, number, *first, kind | 0o6777, device) == answer


@_EACH_ARCH
def test_stat_is_asked_about_in_full_alone(arch: int) -> None:
    for number in calls.STAT[arch].values():
        assert _say(Level.FULL, arch, number) == bpf.RETURN_NOTIFY
        assert _say(Level.RECORD, arch, number) == bpf.RETURN_ALLOW


@_EACH_ARCH
def test_all_other_calls_are_allowed(arch: int) -> None:
    tables = (calls.CHOWN, calls.MKNOD, calls.STAT, calls.SET_IDS)
    known = {number for table in tables for number in table[arch].values()}
    for number in set(range(512)) - known:
        assert _say(Level.FULL, arch, number, 0o020000, 0o020000, 0o020000, 5) == bpf.RETURN_ALLOW


def test_calls_of_other_architectures_are_allowed() -> None:
    for number in range(512):
        assert _say(Level.FULL, calls.AUDIT_ARCH_X86_64, number | _X32_BIT) == bpf.RETURN_ALLOW
        program = filter_program(Level.FULL, machine="aarch64")
        assert _run(program, calls.AUDIT_ARCH_X86_64, number) == bpf.RETURN_ALLOW


@_EACH_ARCH
def test_each_call_that_is_asked_about_has_its_name(arch: int) -> None:
    for table in (calls.CHOWN, calls.MKNOD, calls.STAT):
        for name, number in table[arch].items():
            assert calls.name_of(arch, number) == name
    assert calls.name_of(arch, 10_000) is None


def test_level_off_has_no_filter() -> None:
    with pytest.raises(ValueError, match="off"):
        filter_program(Level.OFF)


def test_machine_whose_calls_are_not_known_is_refused() -> None:
    with pytest.raises(RootrunError, match="emulate root: vax: "):
        filter_program(Level.FAST, machine="vax")


@pytest.mark.parametrize(
    "items",
    [
        [bpf.jump_if_equal(1, "missing")],
        ["before", bpf.jump_if_equal(1, "before")],
        [bpf.jump_if_equal(1, "far"), *[bpf.load(0)] * 256, "far", bpf.answer(0)],
        ["twice", bpf.load(0), "twice"],
    ],
    ids=["missing", "backwards", "far", "twice"],
)
def test_label_that_cannot_be_reached_is_an_error(items: list[bpf.Item]) -> None:
    with pytest.raises(ValueError, match="label"):
        bpf.assemble(items)
