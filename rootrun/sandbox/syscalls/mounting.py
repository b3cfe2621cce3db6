"""Namespaces and mounts."""

import ctypes
import os

from rootrun.sandbox.syscalls.libc import AnyPath, c_int, c_ulong, checked, encoded, libc, pointer

CLONE_NEWNS = 0x00020000
CLONE_NEWTIME = 0x00000080
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

libc.unshare.argtypes = [c_int]
libc.setns.argtypes = [c_int, c_int]
libc.mount.argtypes = [pointer, pointer, pointer, c_ulong, pointer]
libc.umount2.argtypes = [pointer, c_int]
libc.pivot_root.argtypes = [pointer, pointer]
libc.sethostname.argtypes = [pointer, ctypes.c_size_t]
libc.socket.argtypes = [c_int, c_int, c_int]


def unshare(flags: int) -> None:
    """Move this process into new namespaces (unshare(2)); CLONE_NEWPID counts for children."""
    checked(libc.unshare(flags), "unshare")


def setns(fd: int, kind: int) -> None:
    """Move this process into the namespace of ``fd``, of ``kind`` CLONE_NEW... (setns(2))."""
    checked(libc.setns(fd, kind), "setns")


def mount(
    source: AnyPath, target: AnyPath, fstype: str | None, flags: int, options: bytes | None = None
) -> None:
    """Mount by mount(2); ``options`` is at most one page."""
    kind = None if fstype is None else fstype.encode()
    result = libc.mount(encoded(source), encoded(target), kind, flags, options)
    checked(result, "mount", target)


def umount2(target: AnyPath, flags: int) -> None:
    """Unmount what is on top of ``target`` (umount2(2))."""
    checked(libc.umount2(encoded(target), flags), "umount2", target)


def pivot_root(new_root: AnyPath, put_old: AnyPath) -> None:
    """Make ``new_root`` the root of this mount namespace (pivot_root(2))."""
    checked(libc.pivot_root(encoded(new_root), encoded(put_old)), "pivot_root", new_root)


def set_hostname(name: str) -> None:
    """Name this UTS namespace (sethostname(2))."""
    encoded = os.fsencode(name)
    checked(libc.sethostname(encoded, len(encoded)), "sethostname", name)


def open_socket(family: int, kind: int) -> int:
    """Return the descriptor of a new socket, close-on-exec where ``kind`` says so.

    The socket module costs more to import (17 ms) than a whole container costs to start.
    """
    return checked(libc.socket(family, kind, 0), "socket")
