"""Overlay mounts of many layers, tmpfs, and whether overlay works at some place."""

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rootrun.errors import SandboxError, told_as
from rootrun.sandbox import mount_api, syscalls

_OPAQUE = "user.overlay.opaque"


def mount_overlay(
    target: Path,
    *,
    lowers: Sequence[Path],
    upper: Path | None = None,
    work: Path | None = None,
) -> None:
    """Mount ``lowers``, the topmost first, with ``upper`` over them at ``target``.

    Needs one lower at least. Without ``upper`` the view is read-only. ``work`` is an empty
    directory beside ``upper``, used for this mount only: ``volatile`` leaves a mark in it. Markers
    are ``user.overlay.*`` xattrs (``userxattr``, Linux 5.11). Any path will do, colons, commas and
    line feeds included. Raises ``SandboxError`` with the kernel's explanation.
    """
    if upper is None and len(lowers) == 1:
        _mount_single_lower(target, lowers[0])
        return
    flags = _flags(lowers, upper)
    try:
        _mount_somehow(target, flags, lowers=lowers, upper=upper, work=work)
    except OSError as error:
        raise _refused(target, error) from error


def unmount(target: Path) -> None:
    """Unmount what is on top of ``target``; one that is still in use vanishes with its last use."""
    try:
        syscalls.umount2(target, syscalls.UMOUNT_NOFOLLOW)
    except OSError:  # EBUSY, as a rule
        with told_as(SandboxError, "unmount", target):
            syscalls.umount2(target, syscalls.UMOUNT_NOFOLLOW | syscalls.MNT_DETACH)


def detach_mounts_below(directory: Path) -> None:
    """Detach what is still mounted below ``directory``, which is to be removed.

    That is nothing, unless a signal came between a mount and the note to undo it.
    """
    prefix = os.fsencode(os.path.realpath(directory)) + b"/"
    with suppress(OSError):
        with open("/proc/self/mountinfo", "rb") as file:  # proc_pid_mountinfo(5)
            points = [_unescaped(line.split()[4]) for line in file]
        for point in reversed(points):
            if point.startswith(prefix):
                syscalls.umount2(point, syscalls.UMOUNT_NOFOLLOW | syscalls.MNT_DETACH)


def _unescaped(path: bytes) -> bytes:
    parts = path.split(b"\\")  # each but the first begins with three octal digits
    return parts[0] + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in parts[1:])


def mount_tmpfs(target: Path, *, size_bytes: int | None = None, mode: int = 0o700) -> None:
    """Mount an empty tmpfs; without ``size_bytes`` it may take half of the memory (tmpfs(5))."""
    options = [f"mode={mode:o}"] + ([] if size_bytes is None else [f"size={size_bytes}"])
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("tmpfs", target, "tmpfs", flags, ",".join(options).encode())


def resize_tmpfs(target: Path, size_bytes: int) -> None:
    """Change how much may be in a tmpfs of ``mount_tmpfs``."""
    flags = syscalls.MS_REMOUNT | syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount(None, target, None, flags, f"size={size_bytes}".encode())


def probe_overlay(directory: Path) -> str | None:
    """Return None if an overlay with its upper below ``directory`` works, else the reason.

    Makes one and replaces a lower directory in it, which is what a file system without user xattrs
    (tmpfs before Linux 6.6) or a kernel without ``userxattr`` cannot do. Call it as root of the
    namespaces. Leaves nothing behind.
    """
    base = directory / f".overlay-probe-{os.getpid()}"
    names = ("lower", "upper", "work", "merged")
    lower, upper, work, merged = (base / name for name in names)
    try:
        (lower / "directory").mkdir(parents=True)
        for path in (upper, work, merged):
            path.mkdir()
        mount_overlay(merged, lowers=[lower], upper=upper, work=work)
        try:
            return _replacing_fails(merged / "directory", upper / "directory")
        finally:
            unmount(merged)
    except SandboxError as error:
        return str(error)
    except OSError as error:
        return f"{directory}: {error.strerror}"
    finally:
        with suppress(FileNotFoundError):
            _clear(os.fspath(base))


Flags = Sequence[tuple[str, str | None]]


def _flags(lowers: Sequence[Path], upper: Path | None) -> Flags:
    flags: list[tuple[str, str | None]] = [("userxattr", None)]
    if upper is not None:
        # volatile: no fsync reaches the disk; what a killed run leaves is thrown away anyway.
        flags.append(("volatile", None))
    trees = lowers if upper is None else [*lowers, upper]
    if len({os.stat(tree).st_dev for tree in trees}) > 1:
        # Else files of different trees differ in st_dev, and find -xdev stops between them.
        flags.append(("xino", "on"))
    return flags


def _mount_somehow(
    target: Path,
    flags: Flags,
    *,
    lowers: Sequence[Path],
    upper: Path | None,
    work: Path | None,
) -> None:
    # Even by fsconfig(2), backslashes in upperdir and workdir (not in lowerdir+) are unescaped.
    if any(b"\\" in os.fsencode(path) for path in (upper, work) if path is not None):
        mount_by_short_names(target, flags, lowers=lowers, upper=upper, work=work)
        return
    try:
        _mount_by_descriptor(target, flags, lowers=lowers, upper=upper, work=work)
    except OSError as error:
        # EINVAL: lowerdir+ is of Linux 6.7. ENOSYS: a seccomp filter older than fsopen(2).
        if error.errno not in {errno.EINVAL, errno.ENOSYS}:
            raise
        try:
            mount_by_short_names(target, flags, lowers=lowers, upper=upper, work=work)
        except OSError:
            raise error from None  # this one has the kernel's explanation


def _mount_by_descriptor(
    target: Path,
    flags: Flags,
    *,
    lowers: Sequence[Path],
    upper: Path | None,
    work: Path | None,
) -> None:
    options: list[tuple[str, str | bytes | None]] = [("source", "overlay"), *flags]
    options.extend(("lowerdir+", os.fsencode(lower)) for lower in lowers)
    if upper is not None and work is not None:
        options += [("upperdir", os.fsencode(upper)), ("workdir", os.fsencode(work))]
    _attach(mount_api.new_filesystem("overlay", options), target)


def mount_by_short_names(
    target: Path,
    flags: Flags,
    *,
    lowers: Sequence[Path],
    upper: Path | None,
    work: Path | None,
) -> None:
    """Mount by mount(2), for Linux before 6.7.

    Its options are one page: too little for 50 long paths, and each with colons and commas to
    escape. So the paths become symlinks with short names, in a tmpfs that nothing else sees.
    """
    names = {str(number): lower for number, lower in enumerate(lowers)}
    options = [key if value is None else f"{key}={value}" for key, value in flags]
    options.append("lowerdir=" + ":".join(names))
    if upper is not None and work is not None:
        names |= {"upper": upper, "work": work}
        options += ["upperdir=upper", "workdir=work"]
    link_fd = mount_api.new_filesystem("tmpfs")
    before = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        for name, path in names.items():
            os.symlink(path.absolute(), name, dir_fd=link_fd)
        absolute = target.absolute()
        os.fchdir(link_fd)
        syscalls.mount("overlay", absolute, "overlay", 0, ",".join(options).encode())
    finally:
        os.fchdir(before)
        os.close(before)
        os.close(link_fd)


def _mount_single_lower(target: Path, lower: Path) -> None:
    # Overlay without an upper wants two lowers at least.
    target_fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount_fd = -1
    try:
        mount_fd = mount_api.copy_tree(lower)
        mount_api.attach_read_only(mount_fd, target_fd)
    except OSError as error:
        raise _refused(target, error) from error
    finally:
        os.close(target_fd)
        if mount_fd >= 0:
            os.close(mount_fd)


def _attach(mount_fd: int, target: Path) -> None:
    try:
        target_fd = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            mount_api.attach(mount_fd, target_fd)
        finally:
            os.close(target_fd)
    finally:
        os.close(mount_fd)  # while it is open, umount2(2) is EBUSY


def _refused(target: Path, error: OSError) -> SandboxError:
    return SandboxError(f"mount overlay: {target}: {error.strerror}")


def _replacing_fails(merged: Path, upper: Path) -> str | None:
    try:
        merged.rmdir()
        merged.mkdir()
    except OSError as error:
        return f"a replaced directory: {error.strerror}"
    # listxattr, as the filter of a Nix build refuses getxattr.
    return None if _OPAQUE in os.listxattr(upper) else "a replaced directory is not marked opaque"


def _clear(directory: str) -> None:
    with os.scandir(directory) as entries:
        found = list(entries)
    for entry in found:
        if stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode):
            _clear(entry.path)
        else:
            os.unlink(entry.path)
    os.rmdir(directory)
