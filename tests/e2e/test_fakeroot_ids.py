"""With a single uid, a process is who it became, as with real ids: nothing that it asks differs."""

import os
import subprocess
from pathlib import Path

import pytest

from rootrun.fakeroot import calls
from rootrun.sandbox.bpf import AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64
from tests.support.require import require, require_program
from tests.support.tarball import directory, file, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of, layers_of

pytestmark = pytest.mark.userns

_IS_X86 = os.uname().machine == "x86_64"
_NUMBERS = calls.numbers(calls.NUMBERS, AUDIT_ARCH_X86_64 if _IS_X86 else AUDIT_ARCH_AARCH64)
_NUMBERS_OF_I386 = calls.numbers(calls.NUMBERS, AUDIT_ARCH_I386)
_PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS = 8, 28, 38


def _c(name: str, *arguments: int) -> str:
    """Return the words that make a call and show what came of it."""
    padded = (*arguments, 0, 0, 0)[:3]
    return f"64 {_NUMBERS[name]} {' '.join(map(str, padded))} ids"


def _i(name: str, *arguments: int) -> str:
    """Return the words for a call of i386."""
    padded = (*arguments, 0, 0, 0)[:3]
    return f"32 {_NUMBERS_OF_I386[name]} {' '.join(map(str, padded))} ids"


_APP = f"{_c('setresgid', 1000, 1000, 1000)} groups 2 2000,5 {_c('setresuid', 1000, 1000, 1000)}"

CALLS = {
    "setuid": f"{_c('setuid', 5)} {_c('setuid', 0)} {_c('setuid', -1)} {_c('setuid', 5)}",
    "setuid after a loan": f"{_c('setresuid', 5, 5, 0)} {_c('setuid', 0)} {_c('setuid', 6)}",
    "setreuid": f"{_c('setreuid', 5, -1)} {_c('setreuid', -1, 6)} {_c('setreuid', 6, 5)}",
    "setresuid": f"{_c('setresuid', 1, 2, 3)} {_c('setresuid', 3, 1, 2)} {_c('setresuid', 4, 4)}",
    "setfsuid": f"{_c('setfsuid', 5)} {_c('setfsuid', -1)} {_APP} {_c('setfsuid', 7)}",
    "setgid": f"{_c('setgid', 5)} {_c('setgid', -1)} {_APP} {_c('setgid', 0)} {_c('setgid', 1000)}",
    "setregid": f"{_c('setregid', 5, 6)} {_APP} {_c('setregid', 0, 0)} {_c('setregid', -1, 1000)}",
    "setresgid": f"{_c('setresgid', 1, 2, 3)} {_c('setuid', 5)} {_c('setresgid', 3, 3, 1)}",
    "setfsgid": f"{_c('setfsgid', 5)} {_c('setfsgid', -1)} {_APP} {_c('setfsgid', 7)}",
    "setgroups": "groups 4 9,3,3,7 ids groups 0 , ids groups 2 3,4294967295 ids groups 65537 1 ids",
    "setgroups of nobody": f"{_APP} groups 1 5 ids groups 65537 1",
    "all groups": "groups 65536 5 ids room 65535 room 65536",
    "getgroups": f"room 0 {_APP} room 0 room 1 room 2 room 9 room -1",
    "bad addresses": f"{_c('setgroups', 3, 8)} {_APP} {_c('getresuid', 8, 8, 8)} "
    f"{_c('getgroups', 9, 8)} {_c('getgroups', 0, 8)} {_c('capget', 8, 8)} {_c('capset', 8, 8)}",
    "capset": f"{_c('prctl', _PR_SET_KEEPCAPS, 1)} {_APP} capset 80 c0 40 ids "
    f"{_c('setuid', 7)} capset 100 1ff 0 ids capset 0 0 0 ids {_c('setgid', 5)}",
    "capset of root": f"capset 1ffffffff7f 1ffffffff7f 0 ids {_c('setuid', 5)} {_c('setgid', 5)}",
    "keeping, then executing": f"{_c('prctl', _PR_SET_KEEPCAPS, 1)} {_APP} exec /bin/ids ids",
    "no fixup": f"{_c('prctl', _PR_SET_SECUREBITS, 4)} {_APP} {_c('setuid', 0)} exec /bin/ids ids",
    "securebits of nobody": f"{_APP} {_c('prctl', _PR_SET_SECUREBITS, 4)}",
    "fork": f"{_APP} fork ids {_c('setuid', 0)}",
    "a child's own": f"fork {_APP} fork {_c('setfsuid', 5)}",
    "vfork": f"{_APP} vfork exec /bin/ids ids",
    "a vforked child's own": f"vfork {_APP} exec /bin/ids ids",
    "exec": f"{_c('setresuid', 0, 5, 7)} {_c('setresgid', 1, 2, 3)} exec /bin/ids ids",
    "exec of a real root": f"{_c('setresuid', 5, 0, 0)} exec /bin/ids ids",
    "thread": f"thread {_APP}",
    "socket pair": f"peer {_APP} peer fork peer",
    "socket pair of a thread": f"{_APP} thread peer",
    "dropped server": f"{_APP} listen /tmp/s connect /tmp/s",
    "dropped client": f"listen /tmp/s fork {_APP} connect /tmp/s",
    "root's sockets": "peer listen /tmp/s connect /tmp/s",
}
I386 = {
    "32 bits": f"{_i('setresuid32', 70000, -1, 70001)} ids32 ids16 {_i('setuid32', 70001)} ids16",
    "16 bits": f"{_i('setresgid', 1, 0xFFFF, 3)} {_i('setreuid', 0xFFFF, 5)} ids16 ids32",
    "-1 of 16 bits": f"{_i('setuid', 0xFFFF)} {_i('setgid', 0xFFFF)} {_i('setfsuid', 0xFFFF)}",
    "groups": "groups32 3 7,70000,1 ids16 ids32 groups16 2 65535,4 ids16 ids32",
    "what was before": f"{_i('setfsuid32', 70000)} {_i('setfsuid', 5)} {_i('setfsgid', 5)}",
}
# Of the base: programs of other owners, and scripts that they interpret.
SET_ID = {
    "of its user": "/bin/app ids",
    "of root": f"/bin/ids {_APP} exec /bin/root ids {_c('setuid', 0)} capset 0 0 0 ids",
    "of its group": f"/bin/ids {_APP} exec /bin/group ids {_c('setresgid', 1000, 1000, 1000)}",
    "of both": f"/bin/ids {_APP} exec /bin/both ids",
    "of no group": f"/bin/ids {_APP} exec /bin/locking ids",
    "of other and back": f"/bin/ids {_APP} exec /bin/other ids {_c('setreuid', 7, 1000)}",
    "by a child of its": f"/bin/ids {_APP} exec /bin/root fork exec /bin/ids ids",
    "a script": f"/bin/ids {_APP} exec /bin/script; /bin/ids {_APP} exec /bin/interpreted ids",
    "by a link": f"ln -s root /bin/link; /bin/ids {_APP} exec /bin/link ids",
    "no more": f"chown 7 /bin/root; /bin/ids {_APP} exec /bin/root ids",
    "of new owner": f"cp /bin/ids /n; chown 7:8 /n; chmod 6755 /n; /bin/ids {_APP} exec /n ids",
    "of a file system that forbids it": "cp /bin/ids /dev/shm/n; chmod 4755 /dev/shm/n\n"
    f"/bin/ids {_APP} exec /dev/shm/n ids; rm /dev/shm/n",
    "without privileges": f"/bin/ids 64 {_NUMBERS['prctl']} {_PR_SET_NO_NEW_PRIVS} 1 0 {_APP} "
    "exec /bin/root ids",
    "that is not there": f"/bin/ids {_APP} exec /bin/nothing ids || /bin/ids ids",
}
COMMANDS = {
    "whoami": "whoami; id; su app -c 'id; whoami; su app -c id; id -u; id -Gn'; id",
    "a root who is back": "su app -c '/bin/ids exec /bin/root ids exec /bin/busybox id'",
    "a daemon": "su app -c 'setsid sh -c \"sleep 0.1; id > /tmp/late\" & wait'; cat /tmp/late",
    "a pid namespace": f"busybox unshare -fp /bin/ids {_APP} peer fork peer; "
    f"/bin/ids listen /tmp/s; busybox unshare -fp /bin/ids {_APP} connect /tmp/s",
    "a user namespace": f"busybox unshare -r /bin/ids ids {_c('setuid', 0)} {_c('setuid', 5)}; "
    "busybox unshare -r id",
    "files of their own": "su app -c 'touch /tmp/a; mkdir /tmp/b; id'; touch /tmp/c; ls -ln /tmp",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The compiled ids.c."""
    compiled = tmp_path_factory.mktemp("ids") / "ids"
    source = Path(__file__).with_name("ids.c")
    options = ["-O1", "-static", "-no-pie", "-pthread"]
    subprocess.run([require_program("gcc"), *options, source, "-o", compiled], check=True)
    return compiled.read_bytes()


@pytest.fixture
def layers(program: bytes) -> list[bytes]:
    """A busybox, and the program with modes and owners of all kinds."""
    kinds = {
        "ids": (0o755, 0, 0),
        "app": (0o4755, 1000, 1000),
        "root": (0o4755, 0, 0),
        "group": (0o2755, 0, 0),
        "both": (0o6755, 7, 8),
        "locking": (0o2745, 8, 8),
        "other": (0o4755, 7, 0),
    }
    programs = [
        file(f"bin/{name}", program, mode=mode, uid=uid, gid=gid)
        for name, (mode, uid, gid) in kinds.items()
    ]
    scripts = [
        file("bin/script", b"#!/bin/ids ids\n", mode=0o6755, uid=7, gid=7),
        file("bin/interpreted", b"#!/bin/both ids\n", mode=0o755),
    ]
    return [busybox_layer(), tarball(directory("bin"), *programs, *scripts)]


def assert_said_alike(
    script: str, *args: str, places: tuple[Workplace, ...], layers: list[bytes]
) -> str:
    """Run a script at each place and return what it said, which must be the same."""
    whole = f"exec > /said 2>&1; set +e; cd /\n{script}\n:\n"
    outputs = [
        place.build(whole, "--owner", "keep", *args, base=place.base("base.tar", *layers))
        for place in places
    ]
    said = [content_of(output, "said").decode() for output in outputs]
    assert said[0] == said[1]
    assert layers_of(outputs[0])[-1] == layers_of(outputs[1])[-1]
    assert said[0]
    return said[0]


@pytest.mark.parametrize("case", CALLS)
def test_calls_tell_what_real_ids_would(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    script = f"/bin/ids ids {CALLS[case]}"
    said = assert_said_alike(script, places=(workplace, lone_workplace), layers=layers)
    assert "ids 0 0 0/0 0 0" in said


@pytest.mark.parametrize("case", I386)
def test_programs_of_i386_are_told_the_same(
    case: str, root_workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    require(_IS_X86, "i386 needs x86-64")
    script = f"/bin/ids ids32 {I386[case]}"
    said = assert_said_alike(script, places=(root_workplace, lone_workplace), layers=layers)
    assert "i386 0 0" in said


@pytest.mark.parametrize("case", SET_ID)
def test_set_id_programs_are_who_they_would_be(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    assert_said_alike(SET_ID[case], places=(workplace, lone_workplace), layers=layers)


@pytest.mark.parametrize("case", COMMANDS)
def test_commands_find_who_they_are(
    case: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    assert_said_alike(COMMANDS[case], places=(workplace, lone_workplace), layers=layers)


@pytest.mark.parametrize("user", ["app", "app:extra", "7:8", "0", "root:app"])
def test_a_step_starts_as_its_user(
    user: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    said = [
        place.run("--from", place.base("base.tar", *layers), "--user", user, "--", "ids", "ids")
        for place in (workplace, lone_workplace)
    ]
    told = [line for done in said for line in done.stderr.splitlines() if line[:4] == b"ids "]
    assert len(told) == 2
    assert told[0] == told[1]


@pytest.mark.parametrize("name", ["app", "root", "both"])
def test_a_step_that_is_a_set_id_program_is_who_it_would_be(
    name: str, workplace: Workplace, lone_workplace: Workplace, layers: list[bytes]
) -> None:
    said = [
        place.run("--from", place.base("base.tar", *layers), "--user", "5:6", "--", name, "ids")
        for place in (workplace, lone_workplace)
    ]
    told = [line for done in said for line in done.stderr.splitlines() if line[:4] == b"ids "]
    assert len(told) == 2
    assert told[0] == told[1]


def test_without_emulation_there_is_no_other_user(lone_workplace: Workplace) -> None:
    options = ("--user", "app", "--emulate", "off")
    done = lone_workplace.run("--from", lone_workplace.base(), *options, "--", "id")
    assert done.returncode == 125
    assert b"run as 1000:1000: Invalid argument" in done.stderr


def test_feigned_ids_start_a_step_of_another_user(lone_workplace: Workplace) -> None:
    options = ("--user", "app", "--emulate", "fast")
    done = lone_workplace.run("--from", lone_workplace.base(), *options, "--", "id", "-u")
    assert (done.returncode, done.stderr.splitlines().count(b"0")) == (0, 1)
