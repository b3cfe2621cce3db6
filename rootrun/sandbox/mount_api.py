"""The mount interface of Linux 5.2: file systems and trees as descriptors, attached last.

What is made here is not visible anywhere until ``attach`` puts it onto a descriptor, so that no
path is looked up twice. The kernel's own explanation of a refusal becomes the error's text.
"""

import errno
import os
import struct
from collections.abc import Iterable

from rootrun.sandbox import syscalls
from rootrun.sandbox.syscalls import AnyPath

MOUNT_ATTR_RDONLY = 1
MOUNT_ATTR_NOSUID = 2
MOUNT_ATTR_NODEV = 4
MOUNT_ATTR_NOEXEC = 8

Options = Iterable[tuple[str, str | bytes | None]]

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 442
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x04
_MOVE_MOUNT_T_EMPTY_PATH = 0x40
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6


def new_filesystem(fstype: str, options: Options = (), attributes: int = 0) -> int:
    """Return the descriptor of a new, unattached mount of ``fstype``.

    ``options`` are taken in order; a value of None is a flag. ``attributes`` are MOUNT_ATTR_*.
    """
    context = syscalls.syscall("fsopen", _FSOPEN, fstype.encode(), _FSOPEN_CLOEXEC)
    try:
        for key, value in options:
            _configure(context, fstype, key, value)
        _explained(context, fstype, _FSCONFIG_CMD_CREATE, None, None)
        return syscalls.syscall(
            "fsmount", _FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes, path=fstype
        )
    finally:
        os.close(context)


def copy_tree(source: AnyPath, *, at: int = _AT_FDCWD, recursive: bool = True) -> int:
    """Return the descriptor of an unattached copy of the mount at ``source`` (a bind mount).

    Symlinks in ``source`` are followed; an empty path means the descriptor ``at`` itself. In a
    user namespace a directory with mounts of the outside below can only be copied with them.
    """
    path = b"" if source is None else os.fsencode(source)
    flags = _OPEN_TREE_CLONE | os.O_CLOEXEC | (0 if path else _AT_EMPTY_PATH)
    flags |= _AT_RECURSIVE if recursive else 0
    return syscalls.syscall("open_tree", _OPEN_TREE, at, path, flags, path=source)


def attach(mount_fd: int, target_fd: int) -> None:
    """Put an unattached mount onto the file or directory that ``target_fd`` is open on."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    syscalls.syscall("move_mount", _MOVE_MOUNT, mount_fd, b"", target_fd, b"", flags)


def attach_read_only(mount_fd: int, target_fd: int) -> None:
    """As ``attach``; nothing in the tree can be written through it, its sub-mounts included.

    Before Linux 5.12 (no mount_setattr(2)) the sub-mounts stay as they are.
    """
    try:
        _set_attributes(mount_fd, MOUNT_ATTR_RDONLY)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        attach(mount_fd, target_fd)
        _remount_read_only(mount_fd)
    else:
        attach(mount_fd, target_fd)


def seal(mount_fd: int) -> None:
    """Have nothing written to an unattached tree, nor set-id programs and devices work in it.

    That holds for all that is mounted in it as well; before Linux 5.12 it is ENOSYS.
    """
    _set_attributes(mount_fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)


def _set_attributes(mount_fd: int, attributes: int) -> None:
    wanted = struct.pack("4Q", attributes, 0, 0, 0)
    flags = _AT_EMPTY_PATH | _AT_RECURSIVE
    arguments = (mount_fd, b"", flags, wanted, len(wanted))
    syscalls.syscall("mount_setattr", _MOUNT_SETATTR, *arguments)


def _remount_read_only(mount_fd: int) -> None:
    # The flags of a mount from outside are locked: a remount has to repeat them or is EPERM.
    kept = os.fstatvfs(mount_fd).f_flag
    flags = kept & (syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    flags |= syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY
    syscalls.mount(None, f"/proc/self/fd/{mount_fd}", None, flags)


def _configure(context: int, fstype: str, key: str, value: str | bytes | None) -> None:
    if value is None:
        _explained(context, fstype, _FSCONFIG_SET_FLAG, key, None)
    else:
        _explained(context, fstype, _FSCONFIG_SET_STRING, key, os.fsencode(value))


def _explained(
    context: int, fstype: str, command: int, key: str | None, value: bytes | None
) -> None:
    encoded = None if key is None else key.encode()
    try:
        syscalls.syscall("fsconfig", _FSCONFIG, context, command, encoded, value, 0, path=fstype)
    except OSError as error:
        explanation = _kernel_messages(context)
        if not explanation:
            raise
        raise OSError(error.errno, explanation, fstype) from error


def _kernel_messages(context: int) -> str:
    # Each read gives one message, "e overlay: ..." for an error; then ENODATA.
    messages: list[str] = []
    while True:
        try:
            message = os.read(context, 1024).decode(errors="replace")
        except OSError:
            return "; ".join(messages)
        if message.startswith("e "):
            messages.append(message[2:].strip())
