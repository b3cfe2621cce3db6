"""The system calls that the steps of a container are denied, by a seccomp filter.

What a build has no use for, and what the ways out of containers went through. It is a list of what
is denied, not of what is allowed: packages bring programs that nobody here knows. Left out is what
the kernel grants to the root of the machine alone, and checks first (swapon, settimeofday, acct),
and what a container in this one needs (mount, unshare, setns). SECURITY.md has it for readers.
"""

import errno
import os
from collections.abc import Mapping
from enum import Enum

from rootrun.sandbox import bpf, syscalls
from rootrun.sandbox.bpf import Item


class Denials(Enum):
    """How much is denied."""

    ON = "on"
    SOCKETCALL = "socketcall"  # all but sockets that programs of i386 make by socketcall(2)
    OFF = "off"
    HOST = "host"  # and the sockets that a path leads to: for who sees the paths of the host


_ARCHITECTURES = (
    bpf.AUDIT_ARCH_X86_64,
    bpf.AUDIT_ARCH_I386,
    bpf.AUDIT_ARCH_AARCH64,
    bpf.AUDIT_ARCH_ARM,
)
_OF_MACHINE = {"x86_64": _ARCHITECTURES[:2], "aarch64": _ARCHITECTURES[2:]}
# What a call is tested for, or how it fails: as on a kernel that lacks or forbids it, so that
# programs do what they do there (libuv does without io_uring, systemd without keyrings).
_FAMILY, _REQUEST, _MULTIPLEXED = "family", "request", "multiplexed"
_PAIR = "pair"
_ABSENT, _FORBIDDEN, _NO_FAMILY = "absent", "forbidden", "no family"
_ERRORS = {_ABSENT: errno.ENOSYS, _FORBIDDEN: errno.EPERM, _NO_FAMILY: errno.EAFNOSUPPORT}
# The numbers are in the order of _ARCHITECTURES (arch/*/syscall*.tbl, asm-generic/unistd.h).
_CALLS: Mapping[str, tuple[str, tuple[int | None, int | None, int | None, int | None]]] = {
    "socket": (_FAMILY, (41, 359, 198, 281)),
    "socketpair": (_PAIR, (53, 360, 199, 288)),
    "socketcall": (_MULTIPLEXED, (None, 102, None, None)),
    "ioctl": (_REQUEST, (16, 54, 29, 54)),
    # Keyrings have no namespace: a key that is found by its number may be anybody's.
    "add_key": (_ABSENT, (248, 286, 217, 309)),
    "request_key": (_ABSENT, (249, 287, 218, 310)),
    "keyctl": (_ABSENT, (250, 288, 219, 311)),
    "io_uring_setup": (_ABSENT, (425, 425, 425, 425)),
    "io_uring_enter": (_ABSENT, (426, 426, 426, 426)),
    "io_uring_register": (_ABSENT, (427, 427, 427, 427)),
    "bpf": (_FORBIDDEN, (321, 357, 280, 386)),
    "perf_event_open": (_FORBIDDEN, (298, 336, 241, 364)),
    # What holds up the kernel in the middle of a copy makes its races easy to win.
    "userfaultfd": (_FORBIDDEN, (323, 374, 282, 388)),
    # Finds files by number, past every directory: how a container was left in 2014 ("shocker").
    "open_by_handle_at": (_FORBIDDEN, (304, 342, 265, 371)),
    # The kernel's log is the machine's, and everybody's where kernel.dmesg_restrict is 0.
    "syslog": (_FORBIDDEN, (103, 103, 116, 103)),
    "kexec_load": (_FORBIDDEN, (246, 283, 104, 347)),
    "kexec_file_load": (_FORBIDDEN, (320, None, 294, 401)),
    "init_module": (_FORBIDDEN, (175, 128, 105, 128)),
    "finit_module": (_FORBIDDEN, (313, 350, 273, 379)),
    "delete_module": (_FORBIDDEN, (176, 129, 106, 129)),
}
# Those of x32: bit 30, and on kernels before 5.4 those from 512 on without it, too.
_FIRST_OF_X32 = 512
_AF_UNIX, _AF_ALG, _AF_VSOCK = 1, 38, 40
_ALL_BITS = 0xFFFFFFFF
_TYPE_MASK = 0xF  # the rest are flags, as SOCK_CLOEXEC
_SOCK_DGRAM, _SOCK_RAW = 2, 3  # of AF_UNIX the same; both ends can be sent to others
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SYS_SOCKET, _SYS_SOCKETPAIR = 1, 8

# EINVAL, ENOSYS: a kernel without seccomp filters. EPERM, EACCES: a filter above us forbids them.
_REFUSED = {errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EACCES}


def deny_calls(denials: Denials) -> str | None:
    """Deny this process and its descendants those calls; needs CAP_SYS_ADMIN, or no_new_privs.

    Returns a warning if that is not possible here.
    """
    if denials is Denials.OFF:
        return None
    machine = os.uname().machine
    if machine not in _OF_MACHINE:
        return f"deny system calls: {machine}: their numbers are not known: none is denied"
    try:
        syscalls.install_filter(denial_program(denials, machine), syscalls.FILTER_SPEC_ALLOW, 0)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return f"deny system calls: {error.strerror}: none is denied"
    return None


def denial_program(denials: Denials, machine: str) -> bytes:
    """Return the filter, an array of struct sock_filter; ``machine`` is as uname(2) has it."""
    items: list[Item] = []
    for arch in _OF_MACHINE[machine]:
        items += _section(arch, denials)
    # The machine has no other architectures; one that is not known goes not around the list.
    return bpf.assemble([*items, bpf.answer(bpf.RETURN_ERRNO | errno.ENOSYS)])


def _section(arch: int, denials: Denials) -> list[Item]:
    """Return what is done about calls of one architecture, and go on behind it for others."""
    here, end = f"{arch:x} ", f"{arch:x} end"
    column = _ARCHITECTURES.index(arch)
    numbers = [
        bpf.jump_if_equal(number, here + what)
        for what, row in _CALLS.values()
        if (number := row[column]) is not None
    ]
    if arch == bpf.AUDIT_ARCH_X86_64:
        numbers.insert(0, bpf.jump_if_at_least(_FIRST_OF_X32, here + _ABSENT))
    sockets = () if denials is Denials.SOCKETCALL else (_SYS_SOCKET, _SYS_SOCKETPAIR)
    families: tuple[int, ...] = (_AF_ALG, _AF_VSOCK)
    pair = _test(here, _PAIR, 0, families, _NO_FAMILY)
    if denials is Denials.HOST:
        types = _test(here, "type", 1, (_SOCK_DGRAM, _SOCK_RAW), _NO_FAMILY, bits=_TYPE_MASK)
        pair = [*pair[:-1], *types]
        families = (_AF_UNIX, *families)
    return [
        *(bpf.load(bpf.OFFSET_ARCH), bpf.jump_if_equal(arch, here), bpf.jump(end), here),
        *(bpf.load(bpf.OFFSET_NUMBER), *numbers, bpf.answer(bpf.RETURN_ALLOW)),
        *_test(here, _FAMILY, 0, families, _NO_FAMILY),
        *pair,
        # Lower halves alone: the kernel looks at no more, a filter that did was passed by
        # (CVE-2019-10063).
        *_test(here, _REQUEST, 1, (_TIOCSTI, _TIOCLINUX), _FORBIDDEN),
        # The family stands in memory, where no filter can look, and a thread could change it.
        *_test(here, _MULTIPLEXED, 0, sockets, _ABSENT),
        *(
            item
            for what, error in _ERRORS.items()
            for item in (here + what, bpf.answer(bpf.RETURN_ERRNO | error))
        ),
        end,
    ]


def _test(
    here: str,
    what: str,
    index: int,
    values: tuple[int, ...],
    failure: str,
    bits: int = _ALL_BITS,
) -> list[Item]:
    """Return the test of an argument that makes a call fail if its ``bits`` are of ``values``."""
    jumps = [bpf.jump_if_equal(value, here + failure) for value in values]
    loaded: list[Item] = [here + what, bpf.load_argument(index)]
    if bits != _ALL_BITS:
        loaded.append(bpf.mask(bits))
    return [*loaded, *jumps, bpf.answer(bpf.RETURN_ALLOW)]
