"""ptrace(2) for a tracer that only looks at signals, of tracees that it seized.

Everything but ``seize`` is for a tracee that stands still, and raises ESRCH for one that was killed
meanwhile. Only processors whose registers are known here have any of it: on others it is ENOSYS.
"""

import array
import os
import struct

from rootrun.namedtuple import NamedTuple
from rootrun.sandbox import syscalls
from rootrun.sandbox.bpf import AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64
from rootrun.sandbox.notify import Trap

EVENT_STOP = 128
"""What waitpid(2) tells of a group-stop, its end, and a tracee that is new."""

_NUMBERS = {"x86_64": 101, "aarch64": 117}
_CONT = 7
_GETSIGINFO = 0x4202
_GETREGSET = 0x4204
_SETREGSET = 0x4205
_SEIZE = 0x4206
_LISTEN = 0x4208
_NT_PRSTATUS = 1
# Descendants are traced too (FORK, VFORK, CLONE), and no tracee outlives its tracer (EXITKILL). No
# word of execve(2): what was seized gets no SIGTRAP from it, and nothing is kept of a tracee.
_OPTIONS = 2 | 4 | 8 | 1 << 20

_SIGNAL = struct.Struct("=iii4xQiI")  # siginfo_t: signo, errno, code, address, number, arch
_SIGINFO_BYTES = 128
_SYS_SECCOMP = 1
_ADDRESSES = struct.Struct("=QQ")  # struct iovec
_MOST_REGISTERS = 512  # bytes


class _Layout(NamedTuple):
    """Where a call's arguments and result are among the registers of NT_PRSTATUS."""

    kind: str  # of the array that holds them
    arguments: tuple[int, ...]
    result: int
    mask: int = 0xFFFFFFFFFFFFFFFF


# By the call's architecture and the size of the registers: those of a 64-bit program are 64 bits
# wide, also when it makes a call of i386 (int 0x80).
_LAYOUTS = {
    (AUDIT_ARCH_X86_64, 216): _Layout("Q", (14, 13, 12, 7, 9, 8), 10),  # rdi rsi rdx r10 r8 r9, rax
    (AUDIT_ARCH_I386, 216): _Layout("Q", (5, 11, 12, 13, 14, 4), 10, 0xFFFFFFFF),
    (AUDIT_ARCH_I386, 68): _Layout("I", (0, 1, 2, 3, 4, 5), 6),  # ebx ecx edx esi edi ebp, eax
    (AUDIT_ARCH_AARCH64, 272): _Layout("Q", (0, 1, 2, 3, 4, 5), 0),  # x0 to x5
}


class StoppedCall:
    """The call of a tracee whose SIGSYS is on its way, and the registers to answer it in."""

    __slots__ = ("_layout", "_registers", "trap")

    def __init__(self, trap: Trap, layout: _Layout, registers: "array.array[int]") -> None:
        self.trap = trap
        self._layout = layout
        self._registers = registers

    def answer(self, value: int) -> None:
        """Have the call return ``value``, as the kernel does: an error as its negative errno."""
        position = self._layout.result
        width = self._registers.itemsize
        self._registers[position] = value & (1 << 8 * width) - 1
        # Up to the result and no further: what stands behind may have rules of its own.
        _transfer(self.trap.pid, _SETREGSET, self._registers, (position + 1) * width)


def seize(pid: int) -> None:
    """Trace a process of one thread, and all that it starts, without stopping it.

    EPERM: somebody else traces it, or Yama or a filter forbids it.
    """
    _ptrace(_SEIZE, pid, 0, _OPTIONS)


def resume(pid: int, number: int = 0) -> None:
    """Let it go on, with the signal that it was stopped for, or none."""
    _ptrace(_CONT, pid, 0, number)


def leave_stopped(pid: int) -> None:
    """Let its group-stop be one, until SIGCONT ends it."""
    _ptrace(_LISTEN, pid, 0, 0)


def stopped_call(pid: int) -> StoppedCall | None:
    """Return the call for which the kernel sends SIGSYS; None if it comes from somewhere else."""
    told = array.array("B", bytes(_SIGINFO_BYTES))
    _ptrace(_GETSIGINFO, pid, 0, told.buffer_info()[0])
    _, _, code, _, number, arch = _SIGNAL.unpack_from(told)
    if code != _SYS_SECCOMP:
        return None
    room = array.array("B", bytes(_MOST_REGISTERS))
    size_bytes = _transfer(pid, _GETREGSET, room, _MOST_REGISTERS)
    layout = _LAYOUTS.get((arch, size_bytes))
    if layout is None:
        return None  # made up: no filter traps calls of an architecture that nobody knows
    registers = array.array(layout.kind, room[:size_bytes].tobytes())
    arguments = tuple(registers[position] & layout.mask for position in layout.arguments)
    return StoppedCall(Trap(pid, arch, number, arguments), layout, registers)


def _transfer(pid: int, request: int, registers: "array.array[int]", size_bytes: int) -> int:
    """Read or write them, from the first on, and return how many bytes there were."""
    vector = array.array("Q", _ADDRESSES.pack(registers.buffer_info()[0], size_bytes))
    _ptrace(request, pid, _NT_PRSTATUS, vector.buffer_info()[0])
    return vector[1]


def _ptrace(request: int, pid: int, address: int, value: int) -> None:
    number = _NUMBERS.get(os.uname().machine, -1)
    syscalls.syscall("ptrace", number, request, pid, address, value)
