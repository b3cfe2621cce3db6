"""The system calls and prctl options that Python does not offer.

The only user of ctypes and prctl. Each function raises ``OSError`` whose text starts with the name
of the system call and whose ``filename`` is the path it was about.
"""

import ctypes
import errno
import os
import signal

import prctl

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_PRIVATE = 1 << 18

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

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
_STATX_NUMBERS = {
    "x86_64": 332,
    "aarch64": 291,
    "riscv64": 291,
    "loongarch64": 291,
    "ppc64le": 383,
    "s390x": 379,
    "armv7l": 397,
    "i686": 383,
}
_SECCOMP_SET_MODE_FILTER = 1
_FILTER_BYTES = 8  # of one struct sock_filter
_STATX_BYTES = 256
_INTERNAL_SIGNALS = (32, 33)  # of the C library's threads, which hides them (nptl(7))
_DEFAULT_ACTION = bytes(64)  # SIG_DFL, no flags, no mask: no architecture's struct is longer
_SIGSET_BYTES = 8

AnyPath = str | bytes | os.PathLike[str] | None

_libc = ctypes.CDLL(None, use_errno=True)
_pointer, _int, _long, _ulong = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_ulong
# Pointer-sized arguments throughout: an argument of no declared type is passed as a C int, and
# those on the stack (the sixth and later) then carry garbage in their upper half.
_libc.syscall.argtypes = [_long, *[_pointer] * 6]
_libc.syscall.restype = _long
_libc.unshare.argtypes = [_int]
_libc.mount.argtypes = [_pointer, _pointer, _pointer, _ulong, _pointer]
_libc.umount2.argtypes = [_pointer, _int]
_libc.pivot_root.argtypes = [_pointer, _pointer]
_libc.sethostname.argtypes = [_pointer, ctypes.c_size_t]
_libc.socket.argtypes = [_int, _int, _int]


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_size_t), ("length", ctypes.c_size_t))


class _FilterProgram(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filters", ctypes.c_char_p))


for _name in ("process_vm_readv", "process_vm_writev"):
    _transfer = getattr(_libc, _name)
    _transfer.argtypes = [_int, _pointer, _ulong, _pointer, _ulong, _ulong]
    _transfer.restype = ctypes.c_ssize_t


def syscall(name: str, number: int, *arguments: int | bytes | None, path: AnyPath = None) -> int:
    """Make one raw system call and return its result.

    ``bytes`` are passed as a pointer to their content, ``None`` as a null pointer. ``name`` and
    ``path`` are for the error only.
    """
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    return _checked(_libc.syscall(number, *padded), name, path)


def unshare(flags: int) -> None:
    """Move this process into new namespaces (unshare(2)); CLONE_NEWPID counts for children."""
    _checked(_libc.unshare(flags), "unshare")


def mount(
    source: AnyPath, target: AnyPath, fstype: str | None, flags: int, options: bytes | None = None
) -> None:
    """Mount by mount(2); ``options`` is at most one page."""
    kind = None if fstype is None else fstype.encode()
    result = _libc.mount(_encoded(source), _encoded(target), kind, flags, options)
    _checked(result, "mount", target)


def umount2(target: AnyPath, flags: int) -> None:
    """Unmount what is on top of ``target`` (umount2(2))."""
    _checked(_libc.umount2(_encoded(target), flags), "umount2", target)


def pivot_root(new_root: AnyPath, put_old: AnyPath) -> None:
    """Make ``new_root`` the root of this mount namespace (pivot_root(2))."""
    _checked(_libc.pivot_root(_encoded(new_root), _encoded(put_old)), "pivot_root", new_root)


def set_hostname(name: str) -> None:
    """Name this UTS namespace (sethostname(2))."""
    encoded = os.fsencode(name)
    _checked(_libc.sethostname(encoded, len(encoded)), "sethostname", name)


def open_socket(family: int, kind: int) -> int:
    """Return the descriptor of a new socket, close-on-exec where ``kind`` says so.

    The socket module costs more to import (17 ms) than a whole container costs to start.
    """
    return _checked(_libc.socket(family, kind, 0), "socket")


def statx(fd: int, path: bytes, *, flags: int, mask: int) -> bytes:
    """Return the struct statx of a file (statx(2))."""
    number = _STATX_NUMBERS.get(os.uname().machine, -1)
    found = ctypes.create_string_buffer(_STATX_BYTES)
    syscall("statx", number, fd, path, flags, mask, ctypes.addressof(found), path=path)
    return found.raw


def install_filter(program: bytes, flags: int) -> int:
    """Filter this process's system calls from now on (seccomp(2)); needs CAP_SYS_ADMIN.

    ``program`` is an array of struct sock_filter. Returns 0, or the listener's descriptor, which is
    close-on-exec.
    """
    number = _SECCOMP_NUMBERS.get(os.uname().machine, -1)
    described = _FilterProgram(len(program) // _FILTER_BYTES, program)
    address = ctypes.addressof(described)
    return syscall("seccomp", number, _SECCOMP_SET_MODE_FILTER, flags, address)


def read_process(pid: int, address: int, size_bytes: int) -> bytes:
    """Return what is at ``address`` in a process; less where the rest is not readable."""
    content = ctypes.create_string_buffer(size_bytes)
    count = _transfer_memory("process_vm_readv", pid, address, content)
    return content.raw[:count]


def write_process(pid: int, address: int, content: bytes) -> int:
    """Write to ``address`` in a process and return how much of it was writable."""
    buffer = ctypes.create_string_buffer(content, len(content))
    return _transfer_memory("process_vm_writev", pid, address, buffer)


def _transfer_memory(
    name: str, pid: int, address: int, buffer: "ctypes.Array[ctypes.c_char]"
) -> int:
    ours = _Vector(ctypes.addressof(buffer), len(buffer))
    theirs = _Vector(address, len(buffer))
    transfer = getattr(_libc, name)
    result = transfer(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
    return _checked(result, name)


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


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends.

    Forgotten at a change of credentials (PR_SET_PDEATHSIG(2const)). The parent may have died
    before: who can, compares ``os.getppid()`` afterwards.
    """
    prctl.set_pdeathsig(signal.SIGKILL)


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


def has_no_new_privs() -> bool:
    """Say whether setuid programs gain nothing here (PR_SET_NO_NEW_PRIVS(2const))."""
    return bool(prctl.get_no_new_privs())


def _encoded(path: AnyPath) -> bytes | None:
    return None if path is None else os.fsencode(path)


def _checked(result: int, name: str, path: AnyPath = None) -> int:
    if result >= 0:
        return result
    code = ctypes.get_errno()
    text = f"{name}: {os.strerror(code)}"
    raise OSError(code, text) if path is None else OSError(code, text, os.fsdecode(path))
