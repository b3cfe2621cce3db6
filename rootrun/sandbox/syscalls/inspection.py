"""What the root emulation asks for of other processes and their files, many thousand times a run.

Each call has a function object of its own, whose declared types cost least to convert, and the
buffers are made once: one thread at a time may use these.
"""

import ctypes
import os

from rootrun.sandbox.syscalls.libc import c_int, c_long, c_ulong, checked, libc, pointer

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
_STATX = _STATX_NUMBERS.get(os.uname().machine, -1)
_STATX_BYTES = 256
_OPENAT2 = 437  # as all numbers from 424 on, the same on every architecture
_TRANSFER_BYTES = 4096

_statx = libc["syscall"]
_statx.argtypes = [c_long, c_long, ctypes.c_char_p, c_long, c_long, pointer]
_statx.restype = c_long
_openat2 = libc["syscall"]
_openat2.argtypes = [c_long, c_long, ctypes.c_char_p, ctypes.c_char_p, c_long]
_openat2.restype = c_long
for _transfer in (libc.process_vm_readv, libc.process_vm_writev):
    _transfer.argtypes = [c_int, pointer, c_ulong, pointer, c_ulong, c_ulong]
    _transfer.restype = ctypes.c_ssize_t


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_size_t), ("length", ctypes.c_size_t))


_status = (ctypes.c_char * _STATX_BYTES)()
_status_address = ctypes.addressof(_status)
_content = (ctypes.c_char * _TRANSFER_BYTES)()
_ours, _theirs = _Vector(ctypes.addressof(_content), 0), _Vector(0, 0)
_our_address, _their_address = ctypes.addressof(_ours), ctypes.addressof(_theirs)


def statx(fd: int, path: bytes, *, flags: int, mask: int) -> bytes:
    """Return the struct statx of a file (statx(2))."""
    if _statx(_STATX, fd, path, flags, mask, _status_address) < 0:
        checked(-1, "statx", path)
    return _status.raw


def openat2(directory_fd: int, path: bytes, how: bytes) -> int:
    """Open ``path`` as ``how``, a struct open_how, says (openat2(2), Linux 5.6)."""
    fd: int = _openat2(_OPENAT2, directory_fd, path, how, len(how))
    return fd if fd >= 0 else checked(-1, "openat2", path)


def read_process(pid: int, address: int, size_bytes: int) -> bytes:
    """Return what is at ``address`` in a process; less where the rest is not readable."""
    if size_bytes > _TRANSFER_BYTES:
        buffer = ctypes.create_string_buffer(size_bytes)
        count = _transferred(libc.process_vm_readv, pid, address, buffer)
        return buffer.raw[:count]
    _ours.length = _theirs.length = size_bytes
    _theirs.base = address
    count = libc.process_vm_readv(pid, _our_address, 1, _their_address, 1, 0)
    if count < 0:
        checked(-1, "process_vm_readv")
    return _content.raw[:count]


def read_string(pid: int, address: int) -> bytes | None:
    """Return the NUL-terminated string at ``address`` in a process, without its NUL.

    None if its page is not readable, or it does not end there.
    """
    _ours.length = _theirs.length = _TRANSFER_BYTES - address % _TRANSFER_BYTES
    _theirs.base = address
    count: int = libc.process_vm_readv(pid, _our_address, 1, _their_address, 1, 0)
    string = _content.value  # up to a NUL, which may be one of an earlier call
    return string if len(string) < count else None


def write_process(pid: int, address: int, content: bytes) -> int:
    """Write to ``address`` in a process and return how much of it was writable."""
    buffer = ctypes.create_string_buffer(content, len(content))
    return _transferred(libc.process_vm_writev, pid, address, buffer)


def _transferred(
    transfer: "ctypes._NamedFuncPointer",
    pid: int,
    address: int,
    buffer: "ctypes.Array[ctypes.c_char]",
) -> int:
    ours = _Vector(ctypes.addressof(buffer), len(buffer))
    theirs = _Vector(address, len(buffer))
    result = transfer(pid, ctypes.addressof(ours), 1, ctypes.addressof(theirs), 1, 0)
    return checked(result, transfer.__name__)
