"""A control group of a container's own, where one may be made (cgroups(7), version 2)."""

import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rootrun import log
from rootrun.errors import SandboxError
from rootrun.namedtuple import NamedTuple

_PREFIX = "rootrun-"
_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_LONGEST_END_S = 2.0
_END_STEP_S = 0.01


class Cgroup(NamedTuple):
    """A control group; ``new_cgroup`` makes and removes it."""

    path: Path

    def join(self) -> None:
        """Move this process into it; what it forks from now on is there too."""
        (self.path / "cgroup.procs").write_text("0")

    def was_out_of_memory(self) -> bool:
        """Say whether the kernel killed processes for the limit of this group."""
        events = dict(line.split() for line in self._read("memory.events").splitlines())
        return int(events.get("oom_kill", 0)) > 0

    def peak_memory_bytes(self) -> int | None:
        """Return the most that was in use at a time; None before Linux 5.19."""
        text = self._read("memory.peak")
        return int(text) if text else None

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return ""


def find_parent(controllers: Sequence[str]) -> tuple[Path | None, str]:
    """Return the nearest group in which one with ``controllers`` can be made, or why there is none.

    Where they are not handed down yet and may be, they are from now on.
    """
    own, refusal = own_group()
    if own is None:
        return None, refusal
    above = [own, *own.parents]
    mount_points = [path for path in above if (path / "cgroup.controllers").exists()]
    writable = [path for path in mount_points if os.access(path, os.W_OK)]
    if not writable:
        return None, f"{own} is not ours to write"
    for path in writable:
        if set(controllers) <= _words(path / "cgroup.subtree_control"):
            return path, ""
    for path in writable:
        if set(controllers) <= _words(path / "cgroup.controllers") and _hand_down(
            path, controllers
        ):
            return path, ""
    return None, f"{own} and what is above it hand down no {', '.join(controllers)}"


@contextmanager
def new_cgroup(parent: Path, settings: Mapping[str, str]) -> Iterator[Cgroup]:
    """Make a group below ``parent`` with ``settings``, file by file; remove it once it is empty.

    What killed runs left beside it goes too.
    """
    _sweep(parent)
    try:
        path, descriptor = _make_locked(parent)
    except OSError as error:
        raise SandboxError(f"make a control group: {parent}: {error.strerror}") from error
    try:
        for name, value in settings.items():
            _set(path / name, value)
        yield Cgroup(path)
    finally:
        _remove(path)
        os.close(descriptor)


def _make_locked(parent: Path) -> tuple[Path, int]:
    """Make a group; return its path, and a descriptor whose lock keeps other runs off it."""
    while True:
        path = parent / f"{_PREFIX}{os.urandom(6).hex()}"
        path.mkdir()
        try:
            descriptor = os.open(path, _OPEN_DIRECTORY)
        except FileNotFoundError:
            continue  # another run took it for a dead one's
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            return path, descriptor
        os.close(descriptor)


def _set(file: Path, value: str) -> None:
    try:
        file.write_text(value)
    except FileNotFoundError:
        if file.name != "memory.swap.max":  # is there only where swap is counted
            raise SandboxError(f"set a limit: {file}: is missing") from None
    except OSError as error:
        raise SandboxError(f"set a limit: {file}: {value}: {error.strerror}") from error


def _remove(path: Path) -> None:
    end_s = time.monotonic() + _LONGEST_END_S
    while True:
        try:
            path.rmdir()
        except OSError as error:
            # What was killed leaves its group a moment after it was reaped.
            if error.errno != errno.EBUSY or time.monotonic() > end_s:
                log.warning("remove the control group: %s: %s", path, error.strerror)
                return
            time.sleep(_END_STEP_S)
        else:
            return


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # a live one is locked, and has processes
            descriptor = os.open(path, _OPEN_DIRECTORY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.rmdir()
            finally:
                os.close(descriptor)


def _hand_down(path: Path, controllers: Sequence[str]) -> bool:
    try:
        (path / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
    except OSError as error:  # EBUSY: there are processes in it
        log.debug("control group %s: %s", path, error.strerror)
        return False
    return True


def _words(file: Path) -> set[str]:
    try:
        return set(file.read_text().split())
    except OSError:
        return set()


def own_group() -> tuple[Path | None, str]:
    """Return the directory of the group that this process is in, or why there is none."""
    try:
        groups = Path("/proc/self/cgroup").read_text()
        mounts = Path("/proc/self/mountinfo").read_text()
    except OSError as error:
        return None, f"{error.filename}: {error.strerror}"
    own = re.search(r"^0::(/.*)$", groups, re.M)
    # mount id, parent, device, root, mount point, options, ..., -, type (proc_pid_mountinfo(5))
    mounted = re.search(r"^\d+ \d+ \S+ (/\S*) (/\S*) .* - cgroup2 ", mounts, re.M)
    if own is None or mounted is None:
        return None, "cgroup version 2 is not mounted"
    root, mount_point = mounted.groups()
    if own[1] != root and not own[1].startswith(f"{root.rstrip('/')}/"):
        return None, f"the one that we are in, {own[1]}, is not below {mount_point}"
    return Path(mount_point, own[1][len(root.rstrip("/")) :].lstrip("/")), ""
