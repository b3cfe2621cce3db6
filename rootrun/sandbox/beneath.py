"""Opening a path of the rootfs from outside of it, when its content is hostile."""

import errno
import os
import stat
import struct

from rootrun.errors import SandboxError
from rootrun.sandbox import syscalls

_RESOLVE = 0x10 | 0x02  # RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS
# struct open_how: flags, mode, resolve
FOLLOWING = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC, 0, _RESOLVE)
_NOT_FOLLOWING = struct.pack("=QQQ", os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW, 0, _RESOLVE)
_RACES_ENDURED = 32
_AT_EMPTY_PATH = 0x1000
_AT_SYMLINK_NOFOLLOW = 0x100
_STATX_BTIME = 0x800
_STX_MASK = struct.Struct("=I")
_STX_BTIME = struct.Struct("=qI")
_STX_BTIME_OFFSET = 80


def open_beneath(root_fd: int, path: str, *, purpose: str = "mount") -> int:
    """Return an O_PATH descriptor of ``path`` below ``root_fd``; each component must be ordinary.

    No symlink is followed, neither at the end nor on the way (what CVE-2019-19921, CVE-2025-31133
    and their kin in runc lacked), and ``..`` is refused. Mounts are crossed: they are ours. Raises
    ``FileNotFoundError``, or ``SandboxError`` for what is no ordinary path; ``purpose`` is the verb
    of its message.
    """
    fd = os.dup(root_fd)
    try:
        for component in _components(path):
            below = _open_component(fd, component, f"{purpose} {path}")
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_mount_point(root_fd: int, path: str, *, is_directory: bool) -> int:
    """As ``open_beneath``, for something to mount on: a directory, or else a regular file."""
    try:
        fd = open_beneath(root_fd, path)
    except FileNotFoundError as error:
        raise SandboxError(f"mount {path}: {path}: does not exist in the image") from error
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode) if is_directory else stat.S_ISREG(mode):
        return fd
    os.close(fd)
    wanted = "a directory" if is_directory else "an ordinary file"
    raise SandboxError(f"mount {path}: {path}: is not {wanted} in the image")


def open_in_root(root_fd: int, path: bytes, *, follow: bool) -> int:
    """Return an O_PATH descriptor of what ``path`` is to a process whose root is ``root_fd``.

    ``..`` and symlinks end at that root, magic links of /proc are ELOOP (openat2(2), Linux 5.6). A
    relative path starts at the root. A symlink at the end is followed if ``follow``, else opened.
    Raises the ``OSError`` that the process itself would get.
    """
    how = FOLLOWING if follow else _NOT_FOLLOWING
    for _ in range(_RACES_ENDURED):
        try:
            return syscalls.openat2(root_fd, path, how)
        except OSError as error:
            # A rename or mount somewhere on the way: the kernel asks to try again.
            if error.errno != errno.EAGAIN:
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), os.fsdecode(path))


def birth_time_ns(fd: int, name: bytes = b"") -> int:
    """Return when the file was made, in ns since the epoch, as coarse as the kernel's clock.

    It is the one of ``fd`` (O_PATH too), or with a ``name`` that of the entry of directory ``fd``,
    symlinks not followed. Raises ENOTSUP where the file system does not record it.
    """
    flags = _AT_SYMLINK_NOFOLLOW | (0 if name else _AT_EMPTY_PATH)
    found = syscalls.statx(fd, name, flags=flags, mask=_STATX_BTIME)
    if not _STX_MASK.unpack_from(found)[0] & _STATX_BTIME:
        raise OSError(errno.ENOTSUP, "statx: no birth time", os.fsdecode(name))
    seconds, nanoseconds = _STX_BTIME.unpack_from(found, _STX_BTIME_OFFSET)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def _components(path: str) -> list[str]:
    return [component for component in path.split("/") if component not in {"", "."}]


def _open_component(directory_fd: int, component: str, what: str) -> int:
    if component == "..":
        raise SandboxError(f"{what}: {component}: leaves the rootfs")
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(component, flags, dir_fd=directory_fd)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), component) from error
        if error.errno == errno.ENOTDIR:
            raise SandboxError(
                f"{what}: {component}: its parent is no directory in the image"
            ) from error
        raise
    if stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise SandboxError(f"{what}: {component}: is a symlink in the image")
    return fd
