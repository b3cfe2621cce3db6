"""Opening a path of the rootfs from outside of it, when its content is hostile."""

import errno
import os
import stat

from rootrun.errors import SandboxError


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
