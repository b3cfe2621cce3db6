"""What a hostile script gets out of its container, by every way that is known: nothing.

attack.c tells of each success. Where the same attack can succeed, on what belongs to the script or
without what protects, a test shows that it would be told.
"""

import ctypes
import os
import pty
import secrets
import socket
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.program import clean_environment, installation
from tests.support.require import require_program
from tests.support.tarball import directory, file, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of

pytestmark = pytest.mark.userns

SOURCE = Path(__file__).parent / "attack.c"
KEYCTL, ADD_KEY = 250, 248  # on x86-64


@pytest.fixture(scope="session")
def attack(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Compile attack.c, static."""
    program = tmp_path_factory.mktemp("attack") / "attack"
    flags = ["-static", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([require_program("gcc"), *flags, SOURCE, "-o", program], check=True)
    return program.read_bytes()


def with_attack(place: Workplace, attack: bytes) -> Path:
    """Write a base that has the program."""
    layer = tarball(directory("bin"), file("bin/attack", attack, mode=0o755), directory("mnt"))
    return place.base("base.tar", busybox_layer(), layer)


def got(
    place: Workplace, script: str, *args: str, base: Path, env: dict[str, str] | None = None
) -> list[str]:
    """Return the successes of ``script``."""
    output = place.build(f"exec > /said\n{script}\n", *args, base=base, env=env)
    return content_of(output, "said").decode().splitlines()


@pytest.fixture
def canary(any_workplace: Workplace) -> Path:
    """A file of the caller's, which everybody could read who got so far."""
    path = any_workplace.path / f"canary-{secrets.token_hex(8)}"
    path.mkdir()
    any_workplace.own(path)
    return any_workplace.write(f"{path.name}/file", "secret")


def test_no_file_outside_is_reached_by_chroot_pivot_umount_setns_or_proc(
    any_workplace: Workplace, attack: bytes, canary: Path
) -> None:
    base = with_attack(any_workplace, attack)
    assert got(any_workplace, f"attack reach {canary}", base=base) == []
    # The ways are ways: what is inside is found on each.
    found = got(any_workplace, "attack reach /etc/passwd", base=base)
    for way in ("plain: path", "plain: cwd", "pivot_root: old root", "chroot: cwd"):
        assert way in found
    assert {line for line in found if line.startswith("plain: /proc/")}


def test_a_bind_of_one_directory_opens_no_other(
    any_workplace: Workplace, attack: bytes, canary: Path
) -> None:
    base = with_attack(any_workplace, attack)
    shared = any_workplace.path / "shared"
    shared.mkdir()
    any_workplace.own(shared)
    script = f"cd /mnt; attack reach {canary}; attack reach /../{canary.parent.name}/file"
    assert got(any_workplace, script, "--bind", "shared:/mnt", base=base) == []


def test_no_secret_is_in_the_memory_or_environment_of_any_process(
    any_workplace: Workplace, attack: bytes
) -> None:
    base = with_attack(any_workplace, attack)
    halves = secrets.token_hex(8), secrets.token_hex(8)
    search = f"attack memory {halves[0]} {halves[1]}"
    secret = "".join(halves)
    hidden = ("--label", f"token={secret}")
    assert got(any_workplace, search, *hidden, base=base, env={"TOKEN": secret}) == []
    shown = f"A={halves[0]}; A=${{A}}{halves[1]} sleep 9 & sleep 1; {search}"
    seen = got(any_workplace, shown, base=base)
    assert {line.split(": ")[1] for line in seen} >= {"environ", "memory"}


def test_services_of_the_host_are_not_reached_by_abstract_sockets_or_tcp(
    any_workplace: Workplace, attack: bytes
) -> None:
    base = with_attack(any_workplace, attack)
    name = f"rootrun-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX) as local, socket.create_server(("127.0.0.1", 0)) as tcp:
        local.bind(f"\0{name}")
        local.listen()
        script = f"attack connect {name} {tcp.getsockname()[1]}"
        assert got(any_workplace, script, base=base) == []
        assert got(any_workplace, script, "--network", "host", base=base) == [
            "abstract socket",
            "TCP",
        ]


@contextmanager
def shared_memory() -> Iterator[tuple[int, str, str]]:
    """Make memory that processes share by key and by name, and a queue, all for everybody."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = f"rootrun-{secrets.token_hex(8)}"
    key = secrets.randbelow(1 << 30) + 1
    segment = libc.shmget(key, 4096, 0o1666)
    queue = libc.mq_open(f"/{name}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
    assert min(segment, queue) >= 0
    memory = Path("/dev/shm", name)
    memory.touch(0o666)
    try:
        yield key, f"/{name}", name
    finally:
        memory.unlink()
        libc.mq_unlink(f"/{name}".encode())
        os.close(queue)
        libc.shmctl(segment, 0, None)


def test_memory_and_queues_that_processes_of_the_host_share_are_not_seen(
    any_workplace: Workplace, attack: bytes
) -> None:
    base = with_attack(any_workplace, attack)
    with shared_memory() as (key, queue, name):
        script = f"attack share {key} {queue} {name}"
        assert got(any_workplace, script, base=base) == []
        # Their names are right: a process outside finds them.
        program = installation() / "home" / "attack"
        program.write_bytes(attack)
        program.chmod(0o755)
        try:
            words = ["share", str(key), queue, name]
            outside = subprocess.run([program, *words], capture_output=True, text=True, check=True)
        finally:
            program.unlink()
    assert outside.stdout.splitlines()[:3] == ["System V memory", "POSIX queue", "/dev/shm"]


def test_keys_of_the_caller_s_session_are_not_found(
    any_workplace: Workplace, attack: bytes
) -> None:
    base = with_attack(any_workplace, attack)
    name = f"rootrun-{secrets.token_hex(8)}"
    any_workplace.write("setup.sh", f"exec > /said\nattack keys {name}\n")
    rootrun = installation() / "bin" / "rootrun"
    program = any_workplace.write("attack", attack, mode=0o755)
    # Nothing denied: it is the keyring that is another one.
    words = [os.fspath(rootrun), "--from", os.fspath(base), "--script", "setup.sh"]
    words += ["-o", "o.tar", "--seccomp", "off"]
    source = f"""
import ctypes, subprocess
libc = ctypes.CDLL(None, use_errno=True)
assert libc.syscall({KEYCTL}, 1, None) > 0
assert libc.syscall({ADD_KEY}, b"user", b"{name}", b"secret", 6, -3) > 0
subprocess.run({[os.fspath(program), "keys", name]!r}, check=True)
subprocess.run({words!r}, check=True, stdout=subprocess.DEVNULL)
"""
    account = any_workplace.account
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", source],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env=clean_environment(account),
        cwd=any_workplace.path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"session\nrequested\n"
    assert content_of(any_workplace.path / "o.tar", "said") == b""


def test_the_clock_cannot_be_set(any_workplace: Workplace, attack: bytes) -> None:
    assert got(any_workplace, "attack clock", base=with_attack(any_workplace, attack)) == []


def test_a_terminal_gets_no_input_and_its_modes_back(
    any_workplace: Workplace, attack: bytes
) -> None:
    base = with_attack(any_workplace, attack)
    any_workplace.write("setup.sh", "attack terminal > /said\n")
    controller, terminal = pty.openpty()
    account = any_workplace.account
    try:
        os.fchmod(terminal, 0o666)
        before = termios.tcgetattr(terminal)
        done = subprocess.run(
            [
                *("setsid", "-c", installation() / "bin" / "rootrun", "-q", "--from", base),
                *("--script", "setup.sh", "-o", "o.tar", "--seccomp", "off"),
            ],
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            env=clean_environment(account),
            cwd=any_workplace.path,
            stdin=terminal,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
            check=False,
        )
        assert done.returncode == 0, os.read(controller, 65536)
        assert content_of(any_workplace.path / "o.tar", "said") == b"terminal\nmodes\n"
        assert termios.tcgetattr(terminal) == before
        os.set_blocking(terminal, False)
        with pytest.raises(BlockingIOError):
            os.read(terminal, 1)
    finally:
        os.close(terminal)
        os.close(controller)
