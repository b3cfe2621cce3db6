"""The kernel's own credentials: calls that change them, made by a child with every capability."""

import array
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rootrun.fakeroot import calls
from rootrun.sandbox.bpf import AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64
from rootrun.sandbox.syscalls import CLONE_NEWUSER, syscall, unshare

_NUMBERS = calls.numbers(
    calls.NUMBERS, AUDIT_ARCH_AARCH64 if os.uname().machine == "aarch64" else AUDIT_ARCH_X86_64
)
_CAPABILITY_VERSION = 0x20080522
_PRCTL = {"keepcaps": 8, "securebits": 28}
_HALF = 0xFFFFFFFF


class Call(NamedTuple):
    """A call: its ids, the groups of setgroups(2), or the masks of capset(2)."""

    name: str
    arguments: tuple[int, ...]


Said = list[object]
"""The errno or 0, the uids, the gids, the groups, and three masks, as proc(5) has them."""


def make_call(call: Call) -> int:
    """Make a call and return its errno, 0 for none."""
    try:
        _make(*call)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def said_of(error: int, status: str) -> Said:
    """Return what a status file of proc(5) says of credentials."""
    fields = dict(line.split(":", 1) for line in status.splitlines())
    ids = [[int(word) for word in fields[name].split()] for name in ("Uid", "Gid", "Groups")]
    return [error, *ids, *(int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff"))]


def present_status() -> str:
    """Return the status file of this process."""
    return Path("/proc/self/status").read_text()


def in_child(work: Callable[[], None]) -> str:
    """Return what ``work`` writes to its standard output as root of a new user namespace.

    The caller is real root; its first 65536 ids are themselves there.
    """
    (output, its_output), (waiting, release) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            unshare(CLONE_NEWUSER)
            os.dup2(its_output, 1)
            os.write(its_output, b"\n")
            os.read(waiting, 1)
            os.setgroups([])
            work()
            os._exit(0)
        finally:
            os._exit(1)
    os.close(its_output)
    with open(output, "rb") as pipe:
        assert pipe.read(1) == b"\n"
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{child}/{name}").write_text("0 0 65536")
        os.write(release, b"\n")
        content = pipe.read()
    os.close(waiting)
    os.close(release)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return content.decode()


def _make(name: str, arguments: tuple[int, ...]) -> None:
    if name in _PRCTL:
        syscall(name, _NUMBERS["prctl"], _PRCTL[name], *arguments)
    elif name == "setgroups":
        syscall(name, _NUMBERS[name], len(arguments), array.array("I", arguments).tobytes())
    elif name == "capset":
        halves = [mask >> shift & _HALF for shift in (0, 32) for mask in arguments]
        header = array.array("I", [_CAPABILITY_VERSION, 0]).tobytes()
        syscall(name, _NUMBERS[name], header, array.array("I", halves).tobytes())
    else:
        syscall(name, _NUMBERS[name], *arguments)
