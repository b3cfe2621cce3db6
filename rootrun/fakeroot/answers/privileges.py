"""Calls that take a capability: of who lacks it they fail. The kernel takes all for its root."""

import errno
import os
import stat
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rootrun.fakeroot import calls
from rootrun.fakeroot.answers.acting import Acting
from rootrun.fakeroot.answers.guard import Rule, guard
from rootrun.fakeroot.caller import AT_FDCWD, Caller, no_such, signed
from rootrun.fakeroot.credentials import (
    CAP_NET_BIND_SERVICE,
    CAP_SYS_ADMIN,
    CAP_SYS_BOOT,
    CAP_SYS_CHROOT,
    Credentials,
)
from rootrun.fakeroot.handler import Handler

_NEWUSER = 0x10000000  # CLONE_NEWUSER
# CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWPID and NEWNET
_OTHER_NAMESPACES = 0x80 | 0x20000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
_OPEN_TREE_CLONE = 1
_NEEDED = {"chroot": CAP_SYS_CHROOT, "reboot": CAP_SYS_BOOT}  # others CAP_SYS_ADMIN
_FIRST_FREE_PORT = 1024  # of a new network namespace
_FIRST_FREE_PORT_HERE = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_ADDRESS_SIZES = {2: 16, 10: 24}  # of AF_INET and AF_INET6, at least
_ADDRESS = struct.Struct("=H2s")  # family, port in network byte order


def privilege_guards(acting: Acting) -> Mapping[str, Handler]:
    """Return what guards calls that take a capability."""
    table: dict[str, Rule] = dict.fromkeys((*calls.ADMINISTER, "chroot", "reboot"), _refuse)
    table |= {"unshare": _unshare, "setns": _setns, "open_tree": _open_tree}
    table |= {"chroot": _chroot, "bind": _bind}
    return {name: partial(guard, acting, rule) for name, rule in table.items()}


def _refuse(_: Caller, present: Credentials, name: str) -> None:
    if not present.has(_NEEDED.get(name, CAP_SYS_ADMIN)):
        raise no_such(errno.EPERM)


def _chroot(caller: Caller, present: Credentials, name: str) -> None:
    """What is not there comes before what may not be done."""
    path = caller.path_at(caller.arguments[0])
    fd = caller.named(AT_FDCWD, path, follow=True, may_be_empty=False)
    is_directory = stat.S_ISDIR(os.fstat(fd).st_mode)
    os.close(fd)
    if not is_directory:
        raise no_such(errno.ENOTDIR)
    _refuse(caller, present, name)


def _unshare(caller: Caller, present: Credentials, name: str) -> None:
    """With a user namespace of its own, the others are made by a root of that one."""
    flags = caller.arguments[0]
    if flags & _OTHER_NAMESPACES and not flags & _NEWUSER:
        _refuse(caller, present, name)


def _setns(caller: Caller, present: Credentials, name: str) -> None:
    number, kinds, *_ = caller.arguments
    if kinds & _NEWUSER:
        return
    try:
        link = os.readlink(f"/proc/{caller.pid}/fd/{signed(number)}")
    except FileNotFoundError:
        return  # EBADF, by the kernel
    if not link.startswith("user:"):
        _refuse(caller, present, name)


def _open_tree(caller: Caller, present: Credentials, name: str) -> None:
    if caller.arguments[2] & _OPEN_TREE_CLONE:
        _refuse(caller, present, name)


def _bind(caller: Caller, present: Credentials, _: str) -> None:
    address, size = caller.arguments[1:3]
    if present.has(CAP_NET_BIND_SERVICE) or signed(size) < _ADDRESS.size:
        return
    family, port = _ADDRESS.unpack(caller.read(address, _ADDRESS.size))
    if signed(size) < _ADDRESS_SIZES.get(family, 1 << 31):
        return
    if 0 < int.from_bytes(port, "big") < _first_free_port(caller):
        raise no_such(errno.EACCES)


def _first_free_port(caller: Caller) -> int:
    """Return the lowest port that is everybody's; in a namespace not ours, what it starts with."""
    its = os.stat(f"/proc/{caller.pid}/ns/net").st_ino
    caller.check_alive()
    if its != os.stat("/proc/self/ns/net").st_ino:
        return _FIRST_FREE_PORT
    return int(_FIRST_FREE_PORT_HERE.read_text(encoding="ascii"))
