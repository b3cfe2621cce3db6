"""What this machine allows, found out by doing it in forked children: the caller stays as it is."""

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from rootrun.errors import RootrunError, SandboxError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox import mount_api, syscalls
from rootrun.sandbox.child import run_in_child
from rootrun.sandbox.idmap import IdMap, IdMapKind
from rootrun.sandbox.idmap_choice import AUTO, choose_id_map, find_program
from rootrun.sandbox.overlay import mount_tmpfs, probe_overlay
from rootrun.sandbox.refusal import is_chrooted, is_filtered
from rootrun.sandbox.userns import enter_namespaces

_TOOLS = ("newuidmap", "newgidmap", "skopeo")
_CONTAINER_MARKS = ("/run/.containerenv", "/.dockerenv")


class Need(Enum):
    """What it means if something is not to be had."""

    MUST = "must"  # nothing works without
    BETTER = "better"  # there is another way


class Finding(NamedTuple):
    """One thing that was tried."""

    name: str
    is_there: bool
    detail: str
    hint: str | None = None  # how to get it
    need: Need = Need.BETTER


def probe_machine(cache_directory: Path, scratch_parent: Path) -> tuple[Finding, ...]:
    """Try what a run would do and return what was found; takes some tens of milliseconds.

    Overlays are tried where the directories are, or where they would be made. Nothing is left.
    """
    tools = [_tool(name) for name in _TOOLS]
    first = _tried("user namespaces", lambda: _enter(IdMapKind.SINGLE.value), need=Need.MUST)
    if not first.is_there:  # nothing else could be tried
        return (first, *tools)
    return (
        first,
        *(_id_map(kind) for kind in IdMapKind),
        _overlay("overlay, cache", cache_directory, need=Need.BETTER),
        _overlay("overlay, scratch", scratch_parent, need=Need.BETTER),
        _tried("overlay, tmpfs", lambda: _try_tmpfs(scratch_parent), need=Need.BETTER),
        _tried("fresh /proc", lambda: _try_filesystem("proc"), otherwise="that of here is bound"),
        _tried("fresh /sys", lambda: _try_filesystem("sysfs"), otherwise="bound or empty"),
        _tried("network namespace", _try_network, need=Need.MUST),
        *tools,
    )


def surroundings() -> dict[str, str]:
    """Return what may explain a refusal: the kernel, and in what rootrun itself runs."""
    facts = {"kernel": os.uname().release}
    if syscalls.has_no_new_privs():
        facts["no_new_privs"] = "set: newuidmap and newgidmap gain no rights"
    if is_filtered():
        facts["seccomp"] = "a filter is active"
    if is_chrooted():
        facts["chroot"] = "user namespaces are forbidden in one"
    if any(os.path.exists(mark) for mark in _CONTAINER_MARKS):
        facts["container"] = "rootrun runs in one"
    return facts


def chosen_id_map() -> IdMap | None:
    """Return the map that ``--idmap auto`` will take, or None if there is none."""
    try:
        return choose_id_map(AUTO)
    except RootrunError:
        return None


def _tried(
    name: str,
    attempt: Callable[[], None],
    *,
    need: Need = Need.BETTER,
    detail: str = "",
    otherwise: str = "",
) -> Finding:
    try:
        with run_in_child(attempt, name=name) as task:
            task.wait()
    except RootrunError as error:
        reason = "; ".join(text for text in (str(error), otherwise) if text)
        return Finding(name, False, reason, error.hint, need)
    return Finding(name, True, detail, None, need)


def _id_map(kind: IdMapKind) -> Finding:
    finding = _tried(f"id map {kind.value}", lambda: _enter(kind.value))
    return finding._replace(detail=finding.detail.removeprefix(f"id map: {kind.value}: "))


def _overlay(name: str, directory: Path, *, need: Need) -> Finding:
    place = next(path for path in (directory, *directory.parents) if path.is_dir())
    detail = os.fspath(directory)
    return _tried(name, lambda: _try_overlay(place), need=need, detail=detail)


def _tool(name: str) -> Finding:
    path = find_program(name)
    package = "skopeo" if name == "skopeo" else "uidmap"
    hint = None if path else f"install the package {package} (Debian, Ubuntu)"
    return Finding(name, path is not None, path or "not found on PATH", hint)


def _enter(requested: str) -> None:
    enter_namespaces(choose_id_map(requested))


def _try_overlay(directory: Path) -> None:
    _enter(AUTO)
    reason = probe_overlay(directory)
    if reason is not None:
        raise SandboxError(reason)


def _try_tmpfs(directory: Path) -> None:
    _enter(AUTO)
    place = next(path for path in (directory, *directory.parents) if path.is_dir())
    mount_tmpfs(place)  # in our own mount namespace, which ends with this child
    reason = probe_overlay(place)
    if reason is not None:
        raise SandboxError(reason)


def _try_filesystem(fstype: str) -> None:
    _enter(AUTO)
    syscalls.unshare(syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET)
    # Only a child is in the new pid namespace, whose processes a fresh proc shows.
    with run_in_child(lambda: os.close(_new_read_only(fstype)), name=f"mount {fstype}") as task:
        task.wait()


def _new_read_only(fstype: str) -> int:
    return mount_api.new_filesystem(fstype, (), mount_api.MOUNT_ATTR_RDONLY)


def _try_network() -> None:
    _enter(AUTO)
    syscalls.unshare(syscalls.CLONE_NEWNET)
