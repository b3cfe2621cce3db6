"""What a process does to itself."""

import ctypes
import errno
import os
import signal

import prctl

from rootrun.sandbox.syscalls.libc import syscall

_CLOSE_RANGE = 436  # as all numbers from 424 on, the same on every architecture
_LAST_DESCRIPTOR = 0xFFFFFFFF
_KEYCTL_JOIN_SESSION_KEYRING = 1
# keyctl(2) has no libc wrapper and, being old, a number of its own on each architecture.
_KEYCTL_NUMBERS = {
    "x86_64": 250,
    "aarch64": 219,
    "riscv64": 219,
    "loongarch64": 219,
    "ppc64le": 271,
    "s390x": 280,
    "armv7l": 311,
    "i686": 288,
}
_RT_SIGACTION_NUMBERS = {
    "x86_64": 13,
    "aarch64": 134,
    "riscv64": 134,
    "loongarch64": 134,
    "ppc64le": 173,
    "s390x": 174,
    "armv7l": 174,
    "i686": 174,
}
_SECCOMP_NUMBERS = {
    "x86_64": 317,
    "aarch64": 277,
    "riscv64": 277,
    "loongarch64": 277,
    "ppc64le": 358,
    "s390x": 348,
    "armv7l": 383,
    "i686": 354,
}
_IOPRIO_SET_NUMBERS = {
    "x86_64": 251,
    "aarch64": 30,
    "riscv64": 30,
    "loongarch64": 30,
    "ppc64le": 273,
    "s390x": 282,
    "armv7l": 314,
    "i686": 289,
}
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_IDLE = 3 << 13  # the class, above the 13 bits of the level
FILTER_SPEC_ALLOW = 4  # spare programs the slower branches that a barrier would want
_SECCOMP_SET_MODE_FILTER = 1
_FILTER_BYTES = 8  # of one struct sock_filter
_INTERNAL_SIGNALS = (32, 33)  # of the C library's threads, which hides them (nptl(7))
_DEFAULT_ACTION = bytes(64)  # SIG_DFL, no flags, no mask: no architecture's struct is longer
_SIGSET_BYTES = 8
_RIGHTS_OVER_FILES = {prctl.CAP_DAC_OVERRIDE, prctl.CAP_FOWNER, prctl.CAP_FSETID}


class _FilterProgram(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filters", ctypes.c_char_p))


def install_filter(program: bytes, *flags: int) -> int:
    """Filter this process's system calls from now on (seccomp(2)).

    ``program`` is an array of struct sock_filter. Of several ``flags`` the first that this kernel
    knows. It needs CAP_SYS_ADMIN, or no_new_privs. Returns 0, or the listener's descriptor, which
    is close-on-exec.
    """
    *first, last = flags
    for attempt in first:
        try:
            return _install_filter(program, attempt)
        except OSError as error:
            if error.errno != errno.EINVAL:  # it knows not all of the flags
                raise
    return _install_filter(program, last)


def _install_filter(program: bytes, flags: int) -> int:
    number = _SECCOMP_NUMBERS.get(os.uname().machine, -1)
    described = _FilterProgram(len(program) // _FILTER_BYTES, program)
    address = ctypes.addressof(described)
    return syscall("seccomp", number, _SECCOMP_SET_MODE_FILTER, flags, address)


def close_descriptors_from(first: int) -> None:
    """Close every descriptor from ``first`` on, whoever opened it (close_range(2))."""
    try:
        syscall("close_range", _CLOSE_RANGE, first, _LAST_DESCRIPTOR, 0)
    except OSError as error:
        # ENOSYS: before Linux 5.9. EPERM: a seccomp filter that is older than the call.
        if error.errno not in {errno.ENOSYS, errno.EPERM}:
            raise
        for name in os.listdir("/proc/self/fd"):
            if int(name) >= first:
                os.closerange(int(name), int(name) + 1)


def join_new_session_keyring() -> None:
    """Leave the caller's session keyring for an empty one, where the kernel has keyrings."""
    number = _KEYCTL_NUMBERS.get(os.uname().machine)
    if number is None:
        return
    try:
        syscall("keyctl", number, _KEYCTL_JOIN_SESSION_KEYRING, None)
    except OSError as error:
        # ENOSYS: no keyrings in this kernel. EPERM: seccomp denies them altogether. EDQUOT: the
        # caller's quota is full of keyrings; all others are out of the script's reach anyway.
        if error.errno not in {errno.ENOSYS, errno.EPERM, errno.EDQUOT}:
            raise


def reset_internal_signals() -> None:
    """Give the C library's own signals their default actions, which Python cannot.

    make(1) for one starts programs with them ignored, and execve(2) keeps that.
    """
    number = _RT_SIGACTION_NUMBERS.get(os.uname().machine)
    if number is None:
        return
    for internal in _INTERNAL_SIGNALS:
        syscall("rt_sigaction", number, internal, _DEFAULT_ACTION, None, _SIGSET_BYTES)


def use_idle_disk_only() -> None:
    """Have the disk serve this process when nobody else wants it (ioprio_set(2))."""
    number = _IOPRIO_SET_NUMBERS.get(os.uname().machine)
    if number is not None:
        syscall("ioprio_set", number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_IDLE)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send ``number`` to this process when the thread that forked it ends.

    Forgotten at a change of credentials (PR_SET_PDEATHSIG(2const)). The parent may have died
    before: who can, compares ``os.getppid()`` afterwards.
    """
    prctl.set_pdeathsig(number)


def forbid_inspection() -> None:
    """Make this process non-dumpable: nobody in a child namespace can read its memory.

    Its environment, descriptors, working directory and program are closed to ptrace(2) and
    /proc alike (PR_SET_DUMPABLE(2const)). Children inherit it until they execute a program.
    """
    prctl.set_dumpable(False)


def allow_inspection() -> None:
    """Undo ``forbid_inspection``, for who may inspect this process otherwise."""
    prctl.set_dumpable(True)


def hide_command_line(title: str) -> None:
    """Show ``title`` in place of this process's arguments, which everybody can read in /proc.

    prctl.set_proctitle crashes for arguments beyond 8 KiB, or without environment.
    """
    prctl.set_name(title)
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # of the arguments (proc_pid_stat(5))
    ctypes.memmove(start, title.encode()[: end - start].ljust(end - start, b"\0"), end - start)


def forbid_new_privs() -> None:
    """Have setuid programs gain nothing from now on (PR_SET_NO_NEW_PRIVS(2const))."""
    prctl.set_no_new_privs(1)


def keep_rights_over_files_only() -> None:
    """Have the programs that this process starts no rights of root but those over files.

    They may read and write what belongs to others, and change its mode, as far as the user
    namespace has those others (capabilities(7)). Needs CAP_SETPCAP.
    """
    for capability in prctl.ALL_CAPS:
        if capability not in _RIGHTS_OVER_FILES and prctl.capbset_read(capability):
            prctl.capbset_drop(capability)


def has_no_new_privs() -> bool:
    """Say whether setuid programs gain nothing here (PR_SET_NO_NEW_PRIVS(2const))."""
    return bool(prctl.get_no_new_privs())
