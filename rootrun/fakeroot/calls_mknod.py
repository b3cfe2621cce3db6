"""mknod of devices: an empty file that stands for one, and what it is remembered."""

import errno
import os
import stat

from rootrun.fakeroot.caller import AT_FDCWD, Caller, signed
from rootrun.fakeroot.ownership import OwnershipMemory
from rootrun.fakeroot.upper import UpperTree
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import EntryType
from rootrun.sandbox.notify import Notification

_TYPES = {stat.S_IFCHR: EntryType.CHARACTER_DEVICE, stat.S_IFBLK: EntryType.BLOCK_DEVICE}
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def answer_mknod(
    caller: Caller,
    notification: Notification,
    name: str,
    *,
    tree: UpperTree,
    memory: OwnershipMemory,
) -> bool:
    """Make the device that the call ``name`` asks for; raise the ``OSError`` it ends with.

    False: it is the kernel's to answer, as no device, or not one in the container's root.
    """
    arguments = notification.arguments
    directory, arguments = (
        (signed(arguments[0]), arguments[1:]) if name == "mknodat" else (AT_FDCWD, arguments)
    )
    mode, device = arguments[1] & 0xFFFF, arguments[2] & 0xFFFFFFFF
    kind = _TYPES.get(stat.S_IFMT(mode))
    if kind is None or not device:
        return False
    parent, leaf = _parent(caller, directory, caller.path_at(arguments[0]))
    try:
        if not tree.has(os.fstat(parent)):
            return False
        fd = os.open(leaf, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            os.fchmod(fd, stat.S_IMODE(mode) & ~caller.umask())
            key = tree.key(fd)
        finally:
            os.close(fd)
    finally:
        os.close(parent)
    memory.remember_device(key, Remembered(0, 0, kind, (os.major(device), os.minor(device))))
    return True


def _parent(caller: Caller, directory: int, path: bytes) -> tuple[int, bytes]:
    """Return a descriptor of where the device is to be, and its name there."""
    head, slash, leaf = path.rpartition(b"/")
    if leaf in (b"", b".", b".."):
        # A slash at the end of what is not there is ENOENT (path_resolution(7)).
        code = errno.EEXIST if leaf or (not path.strip(b"/") and path) else errno.ENOENT
        raise OSError(code, os.strerror(code))
    if not slash:
        return caller.directory(directory), leaf
    return caller.named(directory, head or b"/", follow=True, may_be_empty=False), leaf
