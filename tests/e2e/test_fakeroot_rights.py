"""With a single uid, who is not root may do what real ids would allow, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

from rootrun.fakeroot import calls
from rootrun.fakeroot.calls import AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64
from tests.e2e.test_fakeroot_ids import assert_said_alike
from tests.support.require import require, require_program
from tests.support.tarball import directory, file, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of

pytestmark = pytest.mark.userns

_IS_X86 = os.uname().machine == "x86_64"
_NUMBERS = calls.numbers(calls.NUMBERS, AUDIT_ARCH_X86_64 if _IS_X86 else AUDIT_ARCH_AARCH64)
_NUMBERS_OF_I386 = calls.numbers(calls.NUMBERS, AUDIT_ARCH_I386)
_LOCKS = 10  # RLIMIT_LOCKS
_ALL, _FEW, _ABOVE = "f" * 32, "0500000000000000" * 2, "0900000000000000" + "08" + "0" * 14


def _c(name: str, *arguments: int | str) -> str:
    """Return the words of rights.c for a call."""
    return f"64 {_NUMBERS[name]} {' '.join(map(str, arguments))} ."


def _i(name: str, *arguments: int | str) -> str:
    """Return the words of rights.c for a call of i386."""
    return f"32 {_NUMBERS_OF_I386[name]} {' '.join(map(str, arguments))} ."


_GET = _c("prlimit64", 0, _LOCKS, 0, "o:16")
LIMITS = {
    "raised": f"rights as 5 {_c('prlimit64', 0, _LOCKS, 'h:' + _ALL, 0)} {_GET}",
    "read": f"rights {_GET} as 5 {_GET} {_c('prlimit64', 0, 7, 0, 0)}",
    "soft above hard": f"rights as 5 {_c('prlimit64', 0, _LOCKS, 'h:' + _ABOVE, 'o:16')}",
    "bad addresses": f"rights as 5 {_c('prlimit64', 0, _LOCKS, 8, 0)} "
    f"{_c('prlimit64', 0, _LOCKS, 0, 8)}",
    "by a shell": "su app -c 'ulimit -x; ulimit -x unlimited; id; touch /tmp/x; ulimit -x'",
    "nothing": "su app -c 'ulimit -n 100; ulimit -n; ulimit -c 0; ulimit -c; id'",
}
LIMITS_OF_I386 = {
    "raised": f"{_i('setrlimit', _LOCKS, 'h:' + 16 * 'f')} {_i('ugetrlimit', _LOCKS, 'o:8')}",
    "old": f"{_i('getrlimit', _LOCKS, 'o:8')} {_i('getrlimit', _LOCKS, 8)}",
    "soft above hard": _i("setrlimit", _LOCKS, "h:0900000008000000"),
    "64 bits": f"{_i('prlimit64', 0, _LOCKS, 'h:' + _ALL, 'o:16')}",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The compiled rights.c."""
    compiled = tmp_path_factory.mktemp("rights") / "rights"
    source = Path(__file__).with_name("rights.c")
    options = ["-O1", "-static", "-no-pie"]
    subprocess.run([require_program("gcc"), *options, source, "-o", compiled], check=True)
    return compiled.read_bytes()


@pytest.fixture
def layers(program: bytes) -> list[bytes]:
    """A busybox, and the program."""
    return [busybox_layer(), tarball(directory("bin"), file("bin/rights", program, mode=0o755))]


@pytest.mark.parametrize("case", LIMITS)
def test_a_limit_that_is_set_makes_nobody_root(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    assert_said_alike(LIMITS[case], places=(workplace, lone_workplace), layers=layers)


@pytest.mark.parametrize("case", LIMITS_OF_I386)
def test_limits_of_i386_are_the_same(
    case: str, root_workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    require(_IS_X86, "i386 needs x86-64")
    script = f"rights as 5 {LIMITS_OF_I386[case]} {_i('getuid')}"
    assert_said_alike(script, places=(root_workplace, lone_workplace), layers=layers)


def test_a_lower_limit_is_not_seen(lone_workplace: Workplace, layers: list[bytes]) -> None:
    script = f"rights as 5 {_c('prlimit64', 0, _LOCKS, 'h:' + _FEW, 0)} {_GET} > /said"
    output = lone_workplace.build(script, base=lone_workplace.base("base.tar", *layers))
    assert content_of(output, "said").decode().split()[-1] == _ALL
