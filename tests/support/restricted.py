"""rootrun below a seccomp filter like that of a Nix build, without Nix.

As Nix since 2.20 has it: set-id modes are EPERM, extended attributes are neither written nor read.
"""

import errno
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from rootrun.fakeroot import calls
from rootrun.fakeroot.conditions import if_any_bit
from rootrun.sandbox import bpf
from rootrun.sandbox.bpf import Item
from tests.support.program import installation, run_python
from tests.support.require import require
from tests.support.workplace import Workplace

_SET_IDS = 0o6000
_PRCTL = {"no_new_privs": 38, "seccomp": 22}
_REFUSED = (*calls.SET_XATTR, *calls.GET_XATTR)
_PTRACE = 101

# struct sock_fprog: the count, and the address.
_LAUNCHER = """
import ctypes, os
program = {program!r}
class Described(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
libc = ctypes.CDLL(None, use_errno=True)
described = Described(len(program) // 8, program)
assert libc.prctl({no_new_privs}, 1, 0, 0, 0) == 0
assert libc.prctl({seccomp}, 2, ctypes.byref(described)) == 0
os.execv({argv!r}[0], {argv!r})
"""


def restricted_build(
    place: Workplace,
    script: str,
    *args: str | Path,
    base: Path,
    is_traceable: bool = True,
    output: str = "restricted.tar",
) -> tuple[Path, str]:
    """Run ``script`` on ``base`` below the filter, which must work; return image and messages.

    Unless ``is_traceable``, the filter forbids ptrace(2) as well.
    """
    require(os.uname().machine == "x86_64", "the filter is for x86-64")
    place.write("restricted.sh", script)
    argv: list[str | Path] = [installation() / "bin" / "rootrun", "--from", base]
    argv += ["--script", "restricted.sh", "-o", output, *args]
    done = run_below(_filter(is_traceable=is_traceable), argv, place)
    assert done.returncode == 0, done.stderr.decode()
    return place.path / output, done.stderr.decode()


def run_below(
    program: bytes, argv: Sequence[str | Path], place: Workplace
) -> subprocess.CompletedProcess[bytes]:
    """Run ``argv`` in ``place`` below the seccomp filter ``program``, without new privileges."""
    source = _LAUNCHER.format(program=program, argv=[os.fspath(arg) for arg in argv], **_PRCTL)
    return run_python(source, account=place.account, cwd=place.path)


def _filter(*, is_traceable: bool) -> bytes:
    numbers = calls.numbers(calls.NUMBERS, bpf.AUDIT_ARCH_X86_64)
    jumps: list[Item] = [bpf.jump_if_equal(numbers[name], "no xattr") for name in _REFUSED]
    if not is_traceable:
        jumps.append(bpf.jump_if_equal(_PTRACE, "forbidden"))
    tests: list[Item] = []
    for name in calls.CHMOD:
        jumps.append(bpf.jump_if_equal(numbers[name], name))
        tests += [name, *if_any_bit(_SET_IDS)(name, "forbidden", "allowed", False)]
    return bpf.assemble(
        [
            bpf.load(bpf.OFFSET_ARCH),
            bpf.jump_if_equal(bpf.AUDIT_ARCH_X86_64, "", "allowed"),
            bpf.load(bpf.OFFSET_NUMBER),
            *jumps,
            bpf.jump("allowed"),
            *tests,
            "forbidden",
            bpf.answer(bpf.RETURN_ERRNO | errno.EPERM),
            "no xattr",
            bpf.answer(bpf.RETURN_ERRNO | errno.ENOTSUP),
            "allowed",
            bpf.answer(bpf.RETURN_ALLOW),
        ]
    )
