"""What a seccomp filter says to a call, found out by running its program."""

import struct

from rootrun.sandbox import bpf


def answer_of(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Return the SECCOMP_RET_* that the kernel would act on."""
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
            case 0x05:
                position += operand
            case 0x15:
                position += if_true if accumulator == operand else if_false
            case 0x35:
                position += if_true if accumulator >= operand else if_false
            case 0x45:
                position += if_true if accumulator & operand else if_false
            case 0x54:
                accumulator &= operand
            case 0x06:
                return operand
            case _:
                raise AssertionError(f"code {code:#x}")
