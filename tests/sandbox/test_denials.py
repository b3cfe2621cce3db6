"""What the filter of denied calls says, by running its program; the kernel's headers check it."""

import errno
import re
from pathlib import Path

import pytest

from rootrun.sandbox import bpf
from rootrun.sandbox.bpf import (
    AUDIT_ARCH_AARCH64,
    AUDIT_ARCH_ARM,
    AUDIT_ARCH_I386,
    AUDIT_ARCH_X86_64,
)
from rootrun.sandbox.denials import _ARCHITECTURES, _CALLS, Denials, denial_program
from tests.support.filter_program import answer_of
from tests.support.require import require

MACHINES = {
    AUDIT_ARCH_X86_64: "x86_64",
    AUDIT_ARCH_I386: "x86_64",
    AUDIT_ARCH_AARCH64: "aarch64",
    AUDIT_ARCH_ARM: "aarch64",
}
HEADERS = {
    AUDIT_ARCH_X86_64: "x86_64-linux-gnu/asm/unistd_64.h",
    AUDIT_ARCH_I386: "x86_64-linux-gnu/asm/unistd_32.h",
    AUDIT_ARCH_AARCH64: "asm-generic/unistd.h",
}
EACH_ARCH = pytest.mark.parametrize("arch", MACHINES, ids=["x86_64", "i386", "aarch64", "arm"])
ALLOW = bpf.RETURN_ALLOW
ABSENT = bpf.RETURN_ERRNO | errno.ENOSYS
FORBIDDEN = bpf.RETURN_ERRNO | errno.EPERM
NO_FAMILY = bpf.RETURN_ERRNO | errno.EAFNOSUPPORT
ABSENT_CALLS = {
    *("add_key", "request_key", "keyctl"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
}
FORBIDDEN_CALLS = {
    *("bpf", "userfaultfd", "perf_event_open", "kexec_load", "kexec_file_load", "syslog"),
    *("init_module", "finit_module", "delete_module", "open_by_handle_at"),
}
AF_UNIX, AF_ALG, AF_NFC, AF_VSOCK, AF_KCM = 1, 38, 39, 40, 41
TIOCSTI, TIOCLINUX, TCGETS = 0x5412, 0x541C, 0x5401
HIGH = 1 << 32


def number_of(name: str, arch: int) -> int:
    """Return the number of a call, which the architecture has."""
    number = _CALLS[name][1][_ARCHITECTURES.index(arch)]
    assert number is not None
    return number


def said(arch: int, number: int | str, *arguments: int, denials: Denials = Denials.ON) -> int:
    """Return the answer to a call, by its number or its name."""
    if isinstance(number, str):
        number = number_of(number, arch)
    return answer_of(denial_program(denials, MACHINES[arch]), arch, number, *arguments)


@pytest.mark.parametrize("arch", HEADERS, ids=["x86_64", "i386", "aarch64"])
def test_numbers_are_those_of_the_kernel_s_headers(arch: int) -> None:
    header = Path("/usr/include", HEADERS[arch])
    require(header.exists(), f"{header} is not installed")
    found = dict(re.findall(r"^#define __NR_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE))
    for name, (_, numbers) in _CALLS.items():
        number = numbers[_ARCHITECTURES.index(arch)]
        assert found.get(name) == (None if number is None else str(number)), name


@EACH_ARCH
def test_calls_fail_as_on_a_kernel_that_lacks_or_forbids_them(arch: int) -> None:
    have = {name for name, row in _CALLS.items() if row[1][_ARCHITECTURES.index(arch)] is not None}
    assert {name for name in have if said(arch, name) == ABSENT} == ABSENT_CALLS
    assert {name for name in have if said(arch, name) == FORBIDDEN} == FORBIDDEN_CALLS & have


@EACH_ARCH
@pytest.mark.parametrize("name", ["socket", "socketpair"])
def test_sockets_of_two_families_are_denied(name: str, arch: int) -> None:
    for family in (AF_ALG, AF_VSOCK, AF_ALG | HIGH, AF_VSOCK | 7 * HIGH):
        assert said(arch, name, family, 5) == NO_FAMILY
    for family in (0, AF_UNIX, 2, 10, 16, AF_NFC, AF_KCM):
        assert said(arch, name, family, AF_ALG) == ALLOW


@EACH_ARCH
def test_who_sees_the_paths_of_the_host_has_no_sockets_for_them(arch: int) -> None:
    def answer(name: str, family: int, kind: int) -> int:
        return said(arch, name, family, kind, denials=Denials.HOST)

    flags = 0o2000000 | 0o4000  # SOCK_CLOEXEC, SOCK_NONBLOCK
    for kind in (1, 2, 3, 5):  # SOCK_STREAM, _DGRAM, _RAW, _SEQPACKET
        for family in (AF_UNIX, AF_ALG, AF_VSOCK, AF_UNIX | HIGH):
            assert answer("socket", family, kind | flags) == NO_FAMILY
        assert answer("socket", 2, kind) == ALLOW
        pair = NO_FAMILY if kind in (2, 3) else ALLOW
        assert answer("socketpair", AF_UNIX, kind) == pair
        assert answer("socketpair", AF_UNIX, kind | flags | HIGH) == pair
        assert answer("socketpair", AF_ALG, kind) == NO_FAMILY
    if arch == AUDIT_ARCH_I386:
        assert {said(arch, "socketcall", made, denials=Denials.HOST) for made in (1, 8)} == {ABSENT}


@EACH_ARCH
def test_high_bits_of_a_request_hide_no_injection_into_a_terminal(arch: int) -> None:
    for high in (0, HIGH, 0xFFFFFFFF * HIGH):
        assert said(arch, "ioctl", 0, TIOCSTI | high) == FORBIDDEN
        assert said(arch, "ioctl", 0, TIOCLINUX | high) == FORBIDDEN
        assert said(arch, "ioctl", TIOCSTI, TCGETS | high, TIOCSTI) == ALLOW


def test_a_family_that_cannot_be_seen_is_denied_unless_that_is_asked_for() -> None:
    for made, other in ((1, 2), (8, 3)):  # SYS_SOCKET, SYS_SOCKETPAIR; SYS_BIND, SYS_CONNECT
        assert said(AUDIT_ARCH_I386, "socketcall", made) == ABSENT
        assert said(AUDIT_ARCH_I386, "socketcall", made | HIGH) == ABSENT
        assert said(AUDIT_ARCH_I386, "socketcall", other) == ALLOW
        assert said(AUDIT_ARCH_I386, "socketcall", made, denials=Denials.SOCKETCALL) == ALLOW
    assert said(AUDIT_ARCH_I386, "socket", AF_ALG, denials=Denials.SOCKETCALL) == NO_FAMILY


def test_x32_does_not_go_around_it() -> None:
    for number in (*range(512), 514, 519, 528):  # of its own ioctl, recvmsg and kexec_load
        assert said(AUDIT_ARCH_X86_64, number | 0x40000000) == ABSENT
    for number in range(512, 548):  # without its bit, before Linux 5.4
        assert said(AUDIT_ARCH_X86_64, number) == ABSENT


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_an_unknown_architecture_does_not_go_around_it(machine: str) -> None:
    known = {arch for arch, name in MACHINES.items() if name == machine}
    program = denial_program(Denials.ON, machine)
    for arch in {*MACHINES, 0, 0xC0000015, 0x80000016} - known:
        assert {answer_of(program, arch, number) for number in range(512)} == {ABSENT}


@EACH_ARCH
def test_all_other_calls_are_allowed(arch: int) -> None:
    column = _ARCHITECTURES.index(arch)
    listed = {row[1][column] for row in _CALLS.values()}
    for number in set(range(500)) - listed:
        assert said(arch, number, AF_ALG, TIOCSTI, 1) == ALLOW
