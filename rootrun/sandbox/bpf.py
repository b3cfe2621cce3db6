"""Classic BPF as seccomp runs it: instructions with labels, assembled into struct sock_filter.

Jumps only go forward, and conditional ones at most 255 instructions (bpf(4)).
"""

import struct
from collections.abc import Iterator

RETURN_ALLOW = 0x7FFF0000
RETURN_NOTIFY = 0x7FC00000
RETURN_TRAP = 0x00030000
RETURN_ERRNO = 0x00050000  # with the errno in the lower half
RETURN_SUCCESS = RETURN_ERRNO  # with errno 0

AUDIT_ARCH_X86_64 = 0xC000003E
AUDIT_ARCH_I386 = 0x40000003
AUDIT_ARCH_AARCH64 = 0xC00000B7
AUDIT_ARCH_ARM = 0x40000028

OFFSET_NUMBER = 0
OFFSET_ARCH = 4

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT = 0x20, 0x15, 0x35, 0x45
_AND, _RETURN, _JUMP = 0x54, 0x06, 0x05
_ARGUMENTS = 16
_ARGUMENT_BYTES = 8
_LONGEST_JUMP = 255
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, jt, jf, k


# A bare tuple: a run makes hundreds, and named ones would take half as long again.
Instruction = tuple[int, int, str, str]
"""Code, operand, and where it jumps to if true and else; no label is the next instruction."""

Item = Instruction | str
"""An instruction, or the label of the one that follows."""


def load(offset: int) -> Instruction:
    """Load 32 bits of struct seccomp_data."""
    return _LOAD, offset, "", ""


def load_argument(index: int) -> Instruction:
    """Load the lower half of an argument, all there is of an int on a little-endian machine."""
    return load(_ARGUMENTS + index * _ARGUMENT_BYTES)


def mask(bits: int) -> Instruction:
    """Keep only ``bits`` of what is loaded."""
    return _AND, bits, "", ""


def jump_if_equal(value: int, if_true: str, if_false: str = "") -> Instruction:
    """Compare what is loaded."""
    return _EQUAL, value, if_true, if_false


def jump_if_at_least(value: int, if_true: str, if_false: str = "") -> Instruction:
    """Compare what is loaded, as an unsigned number."""
    return _AT_LEAST, value, if_true, if_false


def jump_if_any(bits: int, if_true: str, if_false: str = "") -> Instruction:
    """Look whether any of ``bits`` is set in what is loaded."""
    return _ANY_BIT, bits, if_true, if_false


def jump(label: str) -> Instruction:
    """Go on at ``label``, however far it is."""
    return _JUMP, 0, label, ""


def answer(action: int) -> Instruction:
    """End with one of ``RETURN_*``."""
    return _RETURN, action, "", ""


def assemble(items: list[Item]) -> bytes:
    """Return the program; ``ValueError`` for a label that is not further on, or too far."""
    labels, instructions = _placed(items)
    return b"".join(
        _packed(instruction, index, labels) for index, instruction in enumerate(instructions)
    )


def disassemble(program: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield code, both distances and operand of each instruction."""
    yield from _INSTRUCTION.iter_unpack(program)


def _placed(items: list[Item]) -> tuple[dict[str, int], list[Instruction]]:
    labels: dict[str, int] = {}
    instructions: list[Instruction] = []
    for item in items:
        if not isinstance(item, str):
            instructions.append(item)
        elif item in labels:
            raise ValueError(f"label {item}: is there twice")
        else:
            labels[item] = len(instructions)
    return labels, instructions


def _packed(instruction: Instruction, index: int, labels: dict[str, int]) -> bytes:
    code, operand, if_true, if_false = instruction
    if code == _JUMP:
        return _INSTRUCTION.pack(code, 0, 0, _distance(if_true, index, labels))
    true = _short_distance(if_true, index, labels) if if_true else 0
    false = _short_distance(if_false, index, labels) if if_false else 0
    return _INSTRUCTION.pack(code, true, false, operand)


def _short_distance(label: str, index: int, labels: dict[str, int]) -> int:
    distance = _distance(label, index, labels)
    if distance > _LONGEST_JUMP:
        raise ValueError(f"label {label}: is too far from instruction {index}")
    return distance


def _distance(label: str, index: int, labels: dict[str, int]) -> int:
    distance = labels.get(label, -1) - index - 1
    if distance < 0:
        raise ValueError(f"label {label}: is not further on than instruction {index}")
    return distance
