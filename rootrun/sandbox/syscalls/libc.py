"""The C library, and any system call by its number."""

import ctypes
import os

AnyPath = str | bytes | os.PathLike[str] | None

libc = ctypes.CDLL(None, use_errno=True)
pointer, c_int, c_long, c_ulong = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_ulong
# Pointer-sized arguments throughout: an argument of no declared type is passed as a C int, and
# those on the stack (the sixth and later) then carry garbage in their upper half.
libc.syscall.argtypes = [c_long, *[pointer] * 6]
libc.syscall.restype = c_long


def syscall(name: str, number: int, *arguments: int | bytes | None, path: AnyPath = None) -> int:
    """Make one raw system call and return its result.

    ``bytes`` are passed as a pointer to their content, ``None`` as a null pointer. ``name`` and
    ``path`` are for the error only.
    """
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    return checked(libc.syscall(number, *padded), name, path)


def encoded(path: AnyPath) -> bytes | None:
    """Return ``path`` as the kernel takes it."""
    return None if path is None else os.fsencode(path)


def checked(result: int, name: str, path: AnyPath = None) -> int:
    """Return ``result``, or raise the error that errno tells of the call ``name``."""
    if result >= 0:
        return result
    code = ctypes.get_errno()
    text = f"{name}: {os.strerror(code)}"
    raise OSError(code, text) if path is None else OSError(code, text, os.fsdecode(path))
