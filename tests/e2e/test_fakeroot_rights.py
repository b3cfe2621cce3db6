"""With a single uid, who is not root may do what real ids would allow, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

from rootrun.fakeroot import calls
from rootrun.sandbox.bpf import AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64
from tests.e2e.test_fakeroot_ids import assert_said_alike
from tests.support.require import require, require_program
from tests.support.restricted import restricted_build
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


_NOW, _NEVER = "00" * 8 + "ffffff3f" + "00" * 4, "00" * 8 + "feffff3f" + "00" * 4  # UTIME_*
_TIMES_NOW, _TIMES_NONE, _TIMES_ONE = _NOW * 2, _NEVER * 2, _NOW + _NEVER
_NS = "s:/proc/self/ns/uts"
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
LIMITS_NUMBERS_OF_I386 = {
    "raised": f"{_i('setrlimit', _LOCKS, 'h:' + 16 * 'f')} {_i('ugetrlimit', _LOCKS, 'o:8')}",
    "old": f"{_i('getrlimit', _LOCKS, 'o:8')} {_i('getrlimit', _LOCKS, 8)}",
    "soft above hard": _i("setrlimit", _LOCKS, "h:0900000008000000"),
    "64 bits": f"{_i('prlimit64', 0, _LOCKS, 'h:' + _ALL, 'o:16')}",
}

_SETUP = """
mkdir -m 700 /closed; mkdir -m 1777 /sticky; mkdir -m 755 /open; mkdir -m 777 /free; mkdir /home
mkdir -m 755 /home/app; mkdir -m 2777 /shared; mkdir -m 555 /home/app/fixed
echo 1 > /closed/file; echo 1 > /sticky/file; echo 1 > /file; chmod 640 /file; echo 1 > /open/file
echo 1 > /free/file; cp /bin/busybox /free/set; chmod 4755 /free/set; echo 1 > /free/writable
echo 1 > /free/group; chown 0:2000 /free/group; chmod 660 /free/group /free/writable
ln -s /closed/file /free/link; ln -s ../closed /free/way; mkdir /free/sub; chmod 666 /free/writable
cp /bin/rights /closed/rights; cp /bin/rights /free/rights; chmod 644 /free/rights
chown -R 1000:1000 /home/app; mkdir /home/app/roots; echo 1 > /home/app/roots/file
echo 1 > /sticky/mine; chown 1000 /sticky/mine; mkdir -m 711 /passage; mkdir -m 777 /passage/in
"""
FILES = {
    "chmod": "chmod 666 /file; chmod 700 /open; touch /home/app/a; chmod 4711 /home/app/a; "
    "stat -c %n:%a:%u /home/app/*",
    "chmod of a group": "touch /shared/a; chmod 2755 /shared/a; touch /home/app/a; "
    "chmod 2755 /home/app/a; stat -c %n:%a:%u:%g /shared/a /home/app/a",
    "times": "touch /file; touch -d @5 /free/writable; touch /free/writable; "
    "touch -d @5 /sticky/mine",
    "making": "mkdir /x; mkdir /open; mkdir /open/x; mkdir -p /open/x/y; mkdir /closed/x; "
    "mkfifo /open; ln -s a /x; ln -s a /open/file; mkfifo /open/f; mknod /free/f p; "
    "mkdir /free/way/x; mkdir /passage/x /passage/in/x",
    "opening": "echo 2 > /open/new; echo 2 > /file; echo 2 > /closed/file; echo 2 > /free/link; "
    "echo 2 > /free/writable; cat /free/writable; echo 2 >> /free/file; echo 2 > /free/way/new",
    "links": "ln /file /home/app/a; ln /free/writable /home/app/b; ln /free/set /home/app/c; "
    "ln /sticky/mine /free/d; ln /free/writable /open/e; ln /free/writable /free/file",
    "removing": "rm -f /sticky/file; rm -f /sticky/mine; rm -f /file; rm -f /open/file /free/file; "
    "rmdir /open; rmdir /free/sub; rm -rf /home/app/roots; rm -f /free/nothing",
    "renaming": "mv /file /sticky/g; mv /sticky/file /free/h; mv -f /free/file /sticky/file; "
    "mv /free/sub /home/app/; mv /sticky/mine /home/app/m; mv /free/way /home/app/way",
    "truncating": "busybox truncate -s 0 /file; busybox truncate -s 0 /free/writable; "
    "wc -c /free/writable",
    "asking": "test -w /file; test -r /file; test -w /etc/passwd; test -r /etc/passwd; "
    "test -x /free/rights; test -x /bin/rights; test -w /free/writable; test -w /free; test -w /",
    "entering": "cd /closed; cd /closed/..; cd /passage && ls in; cd /free/way; cd /sticky && pwd",
    "executing": "/closed/rights; /free/rights; /bin/rights && echo works",
    "other groups": "cat /free/group; echo 2 > /free/group; busybox truncate -s 0 /free/group",
    "a way out of the closed": "cd /passage/in && mkdir a && cd .. && mkdir b",
}
PRIVILEGES = {
    "chroot": "busybox chroot / true; busybox chroot /nothing true",
    "names": "hostname other; hostname",
    "mounts": "mount -t tmpfs none /home/app; busybox umount /proc; busybox unshare -m true",
    "other namespaces": "busybox unshare -n true; busybox unshare -u true; busybox unshare -p true",
    "reboot": "busybox reboot -f; busybox swapoff /file; busybox swapon /file",
}
_HERE = -100  # AT_FDCWD
RAW = {
    "opening for writing": f"{_c('openat', _HERE, 's:/file', 1)} "
    f"{_c('openat', _HERE, 's:/free/writable', 2)} {_c('openat', _HERE, 's:/free/file', 0o1000)} "
    f"{_c('openat', _HERE, 's:/open', 1)} {_c('openat', _HERE, 's:/nothing', 1)}",
    "creating what is there": f"{_c('openat', _HERE, 's:/file', 0o301, 0)} "
    f"{_c('openat', _HERE, 's:/open', 0o101, 0)} {_c('openat', _HERE, 's:/free/link', 0o301, 0)}",
    "without a name": f"{_c('openat', _HERE, 's:/open', 0o20200001, 0)} "
    f"{_c('openat', _HERE, 's:/free', 0o20200001, 0o600)}",
    "times": f"{_c('utimensat', _HERE, 's:/free/file', 'h:' + _TIMES_NOW, 0)} "
    f"{_c('utimensat', _HERE, 's:/free/writable', 'h:' + _TIMES_NOW, 0)} "
    f"{_c('utimensat', _HERE, 's:/free/file', 'h:' + _TIMES_NONE, 0)} "
    f"{_c('utimensat', _HERE, 's:/free/writable', 'h:' + _TIMES_ONE, 0)} "
    f"{_c('utimensat', _HERE, 's:/free/link', 0, 0x100)} {_c('utimensat', 9, 0, 0, 0)} "
    f"{_c('utimensat', _HERE, 's:/nothing', 8, 0)}",
    "asking": " ".join(
        _c("faccessat", _HERE, f"s:{path}", wanted)
        for path in ("/file", "/closed/file", "/free/link", "/free/group", "/open", "/nothing")
        for wanted in (0, 1, 2, 4)
    ),
    "asking as who acts": f"{_c('setresuid', 5, 1000, 5)} "
    f"{_c('faccessat', _HERE, 's:/home/app', 2)} {_c('faccessat2', _HERE, 's:/home/app', 2, 0)} "
    f"{_c('faccessat2', _HERE, 's:/home/app', 2, 0x200)}",
    "by descriptor": f"{_c('openat', _HERE, 's:/open/file', 0)} {_c('fchmod', 3, 0o777)} "
    f"{_c('utimensat', 3, 0, 0, 0)} {_c('fchmod', 9, 0)} {_c('openat', _HERE, 's:/sticky', 0)} "
    f"{_c('fchdir', 4)} {_c('unlinkat', _HERE, 's:file', 0)} {_c('unlinkat', 4, 's:mine', 0)}",
    "removing": f"{_c('unlinkat', _HERE, 's:/closed/file', 0)} "
    f"{_c('unlinkat', _HERE, 's:/closed/nothing', 0)} {_c('unlinkat', _HERE, 's:/nothing', 0)} "
    f"{_c('unlinkat', _HERE, 's:/free/sub/', 0x200)} {_c('unlinkat', _HERE, 's:', 0)} "
    f"{_c('unlinkat', _HERE, 8, 0)} {_c('unlinkat', _HERE, 's:/', 0x200)}",
    "exchanging": f"{_c('renameat2', _HERE, 's:/free/file', _HERE, 's:/sticky/file', 2)} "
    f"{_c('renameat2', _HERE, 's:/free/file', _HERE, 's:/free/writable', 2)} "
    f"{_c('renameat2', _HERE, 's:/free/file', _HERE, 's:/free/nothing', 2)}",
    "linking": f"{_c('linkat', _HERE, 's:/free/way', _HERE, 's:/free/l', 0)} "
    f"{_c('linkat', _HERE, 's:/free/link', _HERE, 's:/free/m', 0x400)} "
    f"{_c('linkat', _HERE, 's:/free/file', _HERE, 's:/free/n', 0)}",
    "attributes": f"{_c('setxattr', 's:/free/file', 's:user.a', 's:b', 1, 0)} "
    f"{_c('setxattr', 's:/free/writable', 's:user.a', 's:b', 1, 0)} "
    f"{_c('removexattr', 's:/free/writable', 's:user.a')} "
    f"{_c('setxattr', 's:/closed/file', 's:user.a', 's:b', 1, 0)} "
    f"{_c('setxattr', 's:/nothing', 's:user.a', 's:b', 1, 0)}",
    "threads and groups": f"{_c('tkill', 1, 9)} {_c('tgkill', 1, 1, 0)} {_c('kill', -99999, 0)} "
    f"{_c('kill', -1, 0)}",
    "namespaces": f"{_c('setns', 99, 0)} {_c('unshare', 0x200)} {_c('openat', _HERE, _NS, 0)} "
    f"{_c('setns', 3, 0)} {_c('openat', _HERE, 's:/proc/self/ns/user', 0)} {_c('setns', 4, 0)}",
    "new mounts": f"{_c('fsopen', 's:tmpfs', 0)} {_c('open_tree', _HERE, 's:/', 0)} "
    f"{_c('open_tree', _HERE, 's:/', 1)}",
}
_PORTS = {
    "of root": "0200005000000000" + "00" * 8,
    "of all": "0200040000000000" + "00" * 8,
    "any": "0200000000000000" + "00" * 8,
}
KILLS = {
    "of root": "kill -9 1; kill -0 1; kill -0 $PPID; kill -0 $$ && echo mine",
    "of its own": "sleep 9 & kill -9 $!; wait $!; echo $?",
    "of nobody": "kill -0 99999",
    "of a group": "trap 'echo got it' TERM; kill 0; echo lives",
    "of all": "setsid sleep 9 & sleep 0.1; kill -9 -1; wait; echo lives",
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


@pytest.mark.parametrize("case", LIMITS_NUMBERS_OF_I386)
def test_limits_of_i386_are_the_same(
    case: str, root_workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    require(_IS_X86, "i386 needs x86-64")
    script = f"rights as 5 {LIMITS_NUMBERS_OF_I386[case]} {_i('getuid')}"
    assert_said_alike(script, places=(root_workplace, lone_workplace), layers=layers)


def test_a_lower_limit_is_not_seen(lone_workplace: Workplace, layers: list[bytes]) -> None:
    script = f"rights as 5 {_c('prlimit64', 0, _LOCKS, 'h:' + _FEW, 0)} {_GET} > /said"
    output = lone_workplace.build(script, base=lone_workplace.base("base.tar", *layers))
    assert content_of(output, "said").decode().split()[-1] == _ALL


def _as_app(commands: str) -> str:
    """Return what has the user app make one after the other, and say what came of each."""
    each = "".join(f"{{ {one.strip()}; }} 2>&1; echo $?\n" for one in commands.split("; "))
    return f"cat > /tmp/s << 'END'\n{each}END\nchmod 755 /tmp/s; su app -c '. /tmp/s'\n"


@pytest.mark.parametrize("case", FILES)
def test_files_are_for_whom_their_modes_let(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    script = _SETUP + _as_app(FILES[case])
    assert_said_alike(script, places=(workplace, lone_workplace), layers=layers)


@pytest.mark.parametrize("case", RAW)
def test_calls_end_as_with_real_ids(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    script = f"{_SETUP}chmod 755 /bin/rights; rights as 1000 {RAW[case]}"
    assert_said_alike(script, places=(workplace, lone_workplace), layers=layers)


def test_who_an_acl_lets_in_is_let_in(
    workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    entries = "01000700ffffffff 02000700e8030000 04000000ffffffff 10000700ffffffff 20000000ffffffff"
    value = f"02000000{entries.replace(' ', '')}"
    attribute = _c("setxattr", "s:/closed", "s:system.posix_acl_access", f"h:{value}", 44, 0)
    script = f"{_SETUP}rights {attribute}\n{_as_app('mkdir /closed/a; stat -c %n:%u /closed/a')}"
    said = assert_said_alike(script, places=(workplace, lone_workplace), layers=layers)
    assert "/closed/a:1000" in said


@pytest.mark.parametrize("case", [*FILES, *RAW])
def test_in_a_nix_build_rights_are_the_same(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    commands = _as_app(FILES[case]) if case in FILES else f"rights as 1000 {RAW[case]}\n"
    script = f"exec > /said 2>&1; set +e; cd /\n{_SETUP}{commands}:\n"
    many = workplace.build(script, "--owner", "keep", base=workplace.base("base.tar", *layers))
    base = lone_workplace.base("base.tar", *layers)
    one, _ = restricted_build(lone_workplace, script, "--owner", "keep", base=base)
    assert content_of(one, "said") == content_of(many, "said")


@pytest.mark.parametrize("case", PRIVILEGES)
def test_privileges_are_roots(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    script = _SETUP + _as_app(PRIVILEGES[case])
    assert_said_alike(script, places=(workplace, lone_workplace), layers=layers)


@pytest.mark.parametrize("case", KILLS)
def test_signals_reach_processes_of_the_same_user(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    command = KILLS[case].replace("'", "'\\''")
    script = f"setsid su app -c '{command}'; echo $?; kill -0 $$ && echo root lives"
    assert_said_alike(script, places=(workplace, lone_workplace), layers=layers)


@pytest.mark.parametrize("case", _PORTS)
def test_low_ports_are_roots(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    number = 41 if _IS_X86 else 198  # socket(2)
    bound = f"64 {number} 2 1 0 . {_c('bind', 3, 'h:' + _PORTS[case], 16)}"
    script = f"rights {bound}; rights as 5 {bound}"
    assert_said_alike(script, places=(workplace, lone_workplace), layers=layers)
