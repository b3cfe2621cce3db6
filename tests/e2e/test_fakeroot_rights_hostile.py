"""Calls that not everybody may make, given what no program should pass."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rootrun.fakeroot import calls
from rootrun.sandbox.bpf import AUDIT_ARCH_AARCH64, AUDIT_ARCH_X86_64
from tests.e2e.test_fakeroot_ids import assert_said_alike
from tests.support.require import require_program
from tests.support.tarball import directory, file, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of

_MACHINE = AUDIT_ARCH_X86_64 if os.uname().machine == "x86_64" else AUDIT_ARCH_AARCH64
_NUMBERS = calls.numbers(calls.NUMBERS, _MACHINE)
pytestmark = pytest.mark.userns

_LOCKS = 10  # RLIMIT_LOCKS
_ODD = ["s:", "s:loop", "s:nothing", "s:f/x", "s:f/", "s:/", "s:..", "s:l", "s:/proc/self/fd/77"]
_ODD += [f"s:{'x' * 256}", f"s:{'y/' * 2040}", "s:/proc/self/cwd/f", "s:/dev/fd/0/x", "s:../h/f"]
_ODD += [str(address) for address in (0, 8, -1, 1 << 47)]
_ONE_PATH = (
    *("chmod", "mkdir", "unlink", "rmdir", "truncate", "access", "chdir"),
    *("chroot", "creat", "execve", "setxattr", "removexattr"),
)
_PATH_AT = (
    *("fchmodat", "fchmodat2", "mkdirat", "unlinkat", "faccessat"),
    *("faccessat2", "openat2", "execveat", "open_tree"),
)
ODD: Mapping[str, Sequence[tuple[int | str, ...]]] = {
    **{name: [(path, 0o1, 0, 0, 0) for path in _ODD] for name in _ONE_PATH if name in _NUMBERS},
    **{name: [(-100, path, 0, 0, 0) for path in _ODD] for name in _PATH_AT if name in _NUMBERS},
    **{name: [(path, 0) for path in _ODD] for name in ("utime", "utimes") if name in _NUMBERS},
    "utimensat": [(-100, path, times, 0) for path in _ODD for times in (0, 8)],
    "directories": [(number, "s:f", 0) for number in (-1, 99, 1 << 31, 0)],
    "renameat": [(-100, old, -100, new) for old in _ODD for new in ("s:f", "s:nothing", old)],
    "linkat": [(-100, old, -100, new, 0) for old in _ODD for new in ("s:f", "s:nothing", old)],
    "bind": [
        (0, address, size) for address in ("s:f", 0, 8) for size in (-1, 0, 1, 2, 16, 1 << 31)
    ],
    "kill": [(pid, number) for pid in (0, 99999, -(1 << 31)) for number in (0, -1, 65, 1 << 31)],
    "tgkill": [(0, 0, 0), (-1, 1, 0), (1, -1, 9), (99999, 1, 9)],
    "pidfd_send_signal": [(number, 0, 0, 0) for number in (-1, 0, 99)],
    "setns": [(number, kinds) for number in (-1, 0, 99) for kinds in (0, -1)],
    "prlimit64": [(-1, _LOCKS, 0, 0), (0, _LOCKS + (1 << 32), 0, 0)],
}


@pytest.fixture
def layers(tmp_path: Path) -> list[bytes]:
    """A busybox, and the compiled rights.c."""
    compiled, source = tmp_path / "rights", Path(__file__).with_name("rights.c")
    options = ["-O1", "-static", "-no-pie"]
    subprocess.run([require_program("gcc"), *options, source, "-o", compiled], check=True)
    program = file("bin/rights", compiled.read_bytes(), mode=0o755)
    return [busybox_layer(), tarball(directory("bin"), program)]


# Two things are wrong with some of their calls, and the kernel may name the other one.
_MANY_ERRORS = ("openat2", "renameat", "bind", "kill", "tgkill", "setns", "prlimit64")


def _script(name: str) -> str:
    number = _NUMBERS["unlinkat" if name == "directories" else name]
    each = (" ".join(map(str, arguments)) for arguments in ODD[name])
    made = " ".join(f"64 {number} {arguments} ." for arguments in each)
    place = "mkdir -m 777 /h; cd /h; ln -s loop loop; ln -s f l; echo 1 > f; chmod 600 f"
    return f"{place}\nrights as 1000 {made}; kill -0 $$ && echo lives"


@pytest.mark.parametrize("name", sorted(ODD.keys() - {*_MANY_ERRORS}))
def test_what_no_program_should_pass_ends_as_with_real_ids(
    name: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    assert_said_alike(_script(name), places=(workplace, lone_workplace), layers=layers)


@pytest.mark.parametrize("name", _MANY_ERRORS)
def test_what_no_program_should_pass_is_answered(
    name: str, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    base = lone_workplace.base("base.tar", *layers)
    output = lone_workplace.build(f"exec > /said\n{_script(name)}", base=base)
    said = content_of(output, "said").decode().splitlines()
    assert len(said) == len(ODD[name]) + 1
    assert said[-1] == "lives"
