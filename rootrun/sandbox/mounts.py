"""What is mounted in a container, as data: the policy; the mechanism is in mount_operations."""

import os
from collections.abc import Iterator
from pathlib import Path

from rootrun.sandbox.mount_api import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
)
from rootrun.sandbox.mount_operations import (
    NULL_DEVICE,
    Bind,
    DeviceNodes,
    FirstThatWorks,
    Masked,
    NewFiles,
    NewFilesystem,
    Operation,
    ReadOnly,
)
from rootrun.sandbox.spec import HOST_TREE, ContainerSpec, ScriptStep

MountPlan = tuple[Operation, ...]

SCRIPT_DIRECTORY = "/dev/.rootrun"

_TTY_GID = 5  # of every distribution; what grantpt(3) expects of a terminal's group
_INERT = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
# The lists of runc and podman: what a root of a user namespace, all the more one whose uid is that
# of the host's root, could change or learn there of the host.
_PROC_READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
_PROC_MASKED = ("acpi", "asound", "kcore", "keys", "latency_stats", "scsi", "timer_list")
_SYS_MASKED = ("/sys/firmware", "/sys/devices/virtual/powercap")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEV_SYMLINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)


def mount_plan(spec: ContainerSpec) -> MountPlan:
    """Return the steps that furnish the rootfs of ``spec``, in order.

    Each mount point must stand in the rootfs as an ordinary directory or file; those in /dev, which
    is a tmpfs, are made.
    """
    if spec.host_tree is not None:
        return _host_plan(spec, spec.host_tree)
    return (
        *_proc(),
        *_dev(spec),
        *_sys(spec.has_host_network),
        *(_HOST_NETWORK_FILES if spec.has_host_network else ()),
        *(_tmpfs(path, spec.limits.memory_bytes) for path in spec.tmpfs),
        *_binds(spec),
        NewFiles(SCRIPT_DIRECTORY, files=_scripts(spec)),
    )


def script_path(step: int) -> str:
    """Return where inside the script of the step with this index is."""
    return f"{SCRIPT_DIRECTORY}/{_script_name(step)}"


_HOST_NETWORK_FILES = tuple(
    Bind(path, path, is_read_only=True, is_optional=True)
    for path in ("/etc/resolv.conf", "/etc/hosts")
)


def _proc() -> MountPlan:
    fresh = NewFilesystem("/proc", "proc", (), _INERT)
    # EPERM: the /proc that we see is partly covered, as in a container. Bind what there is.
    return (
        FirstThatWorks((fresh, Bind("/proc", "/proc"))),
        ReadOnly(tuple(f"/proc/{name}" for name in _PROC_READ_ONLY)),
        Masked(tuple(f"/proc/{name}" for name in _PROC_MASKED)),
    )


def _sys(has_host_network: bool) -> MountPlan:
    fresh = NewFilesystem("/sys", "sysfs", (), _INERT | MOUNT_ATTR_RDONLY)
    bound = Bind("/sys", "/sys", is_read_only=True)
    empty = NewFilesystem("/sys", "tmpfs", (("mode", "555"),), _INERT | MOUNT_ATTR_RDONLY)
    # sysfs belongs to a network namespace: without one of our own it is not ours to mount.
    steps = (bound, empty) if has_host_network else (fresh, bound, empty)
    return FirstThatWorks(steps), Masked(_SYS_MASKED)


def _dev(spec: ContainerSpec) -> MountPlan:
    nodes = (*((name, f"/dev/{name}") for name in _DEVICES), ("console", NULL_DEVICE))
    directories = ("pts", "shm", "mqueue", os.path.basename(SCRIPT_DIRECTORY))
    return (
        NewFilesystem("/dev", "tmpfs", (("mode", "755"), ("size", "65536k")), MOUNT_ATTR_NOSUID),
        NewFiles("/dev", directories=directories, symlinks=_DEV_SYMLINKS),
        DeviceNodes("/dev", nodes),
        _devpts(spec.id_map.has_gid(_TTY_GID)),
        _tmpfs("/dev/shm", spec.limits.memory_bytes),
        NewFilesystem("/dev/mqueue", "mqueue", (), _INERT, is_optional=True),
    )


def _devpts(has_tty_group: bool) -> Operation:
    options: tuple[tuple[str, str | None], ...]
    options = (("newinstance", None), ("ptmxmode", "0666"), ("mode", "0620"))
    attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC
    plain = NewFilesystem("/dev/pts", "devpts", options, attributes)
    if not has_tty_group:
        return plain
    grouped = NewFilesystem("/dev/pts", "devpts", (*options, ("gid", str(_TTY_GID))), attributes)
    return FirstThatWorks((grouped, plain))


def _tmpfs(path: str, size_bytes: int | None) -> Operation:
    size = () if size_bytes is None else (("size", str(size_bytes)),)
    return NewFilesystem(
        path, "tmpfs", (("mode", "1777"), *size), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
    )


def _binds(spec: ContainerSpec) -> MountPlan:
    steps: list[Operation] = []
    for bind in spec.binds:
        source = os.fspath(bind.source)
        directory, name = os.path.split(os.path.normpath(bind.destination))
        if directory == "/dev":
            is_directory = os.path.isdir(source)
            steps.append(
                NewFiles("/dev", directories=(name,))
                if is_directory
                else NewFiles("/dev", files=((name, b""),))
            )
        steps.append(Bind(source, bind.destination, bind.is_read_only))
    return tuple(steps)


def _host_plan(spec: ContainerSpec, tree: Path) -> MountPlan:
    """Return the steps that furnish the host's own root: with mounts of our own, and ``tree``."""
    directory, name = os.path.split(HOST_TREE)
    return (
        *_proc(),
        *_dev(spec),
        *(_sys(spec.has_host_network) if _is_ordinary("/sys") else ()),
        *_run(spec.has_host_network),
        NewFiles(directory, directories=(name,), files=_scripts(spec)),
        ReadOnly((directory,)),  # only what is below the tree can be written
        Bind(os.fspath(tree), HOST_TREE),
    )


def _run(has_host_network: bool) -> Iterator[Operation]:
    """Yield the steps that empty /run: it is full of what leads to processes of the host.

    Left are the symlinks in it, as where NixOS has its programs, and the name servers.
    """
    if not _is_ordinary("/run"):
        return
    yield NewFilesystem("/run", "tmpfs", (("mode", "755"),), _INERT)
    with os.scandir("/run") as scan:
        links = tuple((e.name, os.readlink(e.path)) for e in scan if e.is_symlink())
    yield NewFiles("/run", symlinks=links)
    servers = os.path.realpath("/etc/resolv.conf")
    if has_host_network and servers.startswith("/run/") and os.path.isfile(servers):
        above = "/run"
        *directories, name = servers.removeprefix("/run/").split("/")
        for directory in directories:
            yield NewFiles(above, directories=(directory,))
            above = f"{above}/{directory}"
        yield NewFiles(above, files=((name, Path(servers).read_bytes()),))
    yield ReadOnly(("/run",))


def _is_ordinary(directory: str) -> bool:
    """Say whether the host has this directory, by no symlink."""
    return os.path.isdir(directory) and os.path.realpath(directory) == directory


def _scripts(spec: ContainerSpec) -> tuple[tuple[str, bytes], ...]:
    return tuple(
        (_script_name(index), step.content)
        for index, step in enumerate(spec.steps)
        if isinstance(step, ScriptStep)
    )


def _script_name(step: int) -> str:
    return f"script-{step + 1}"
