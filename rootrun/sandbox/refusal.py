"""Why user namespaces are not to be had here: from an errno and what the system says of itself."""

import errno
import os

from rootrun.errors import NamespaceError

_SEE = "see USER NAMESPACES in rootrun(1)"


def namespace_error(
    error: OSError, *, step: str = "create user namespace", limit: str | None = None
) -> NamespaceError:
    """Return the error for a refused unshare(2) or id map, with the setting to change.

    ``limit`` is that below ``user`` which is reached, if it is known.
    """
    reason = os.strerror(error.errno or 0)
    hint = _hint(error.errno or 0)
    if limit is not None:
        hint = f"user.{limit} is 0, or reached: as root, sysctl user.{limit}=10000"
    return NamespaceError(f"{step}: {reason}", hint=hint)


def _hint(code: int) -> str | None:
    if code in {errno.ENOSPC, errno.EUSERS}:
        return _limit_hint()
    if code == errno.EACCES:
        return f"a security module (AppArmor, SELinux) denies user namespaces; {_SEE}"
    if code in {errno.EINVAL, errno.ENOSYS} and not os.path.exists("/proc/self/ns/user"):
        return "this kernel is built without CONFIG_USER_NS"
    return _permission_hint() if code == errno.EPERM else None


def _limit_hint() -> str:
    for name in ("max_user_namespaces", "max_mnt_namespaces"):
        if _setting(f"user/{name}") == "0":
            return f"user.{name} is 0: as root, sysctl user.{name}=10000"
    return "too many namespaces, or too deep a nesting of them; see namespaces(7)"


def _permission_hint() -> str:
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return (
            "kernel.unprivileged_userns_clone is 0: as root, "
            "sysctl kernel.unprivileged_userns_clone=1"
        )
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return f"kernel.apparmor_restrict_unprivileged_userns is 1; {_SEE}"
    if is_chrooted():
        return "user namespaces cannot be made inside of chroot(2): run it outside"
    if is_filtered():
        return (
            "docker's default seccomp profile, or another filter, forbids user namespaces: "
            "docker run --security-opt seccomp=unconfined or --privileged allows them"
        )
    # What is left: a chroot onto a mount point, or a rule that only the kernel's log tells.
    return f"inside of chroot(2) there are none, and security modules forbid them; {_SEE}"


def is_chrooted() -> bool:
    """Say whether the root directory is not the root of a mount (proc_pid_mountinfo(5))."""
    try:
        with open("/proc/self/mountinfo", "rb") as file:
            return all(line.split()[4] != b"/" for line in file)
    except OSError:
        return False


def is_filtered() -> bool:
    """Say whether a seccomp filter applies to this process (proc_pid_status(5))."""
    try:
        with open("/proc/self/status", "rb") as file:
            return any(line.split() == [b"Seccomp:", b"2"] for line in file)
    except OSError:
        return False


def _setting(name: str) -> str | None:
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None
