"""What a container may use, and what keeps each limit here: a control group, the kernel, or we."""

import errno
import math
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rootrun import log
from rootrun.annotation import TYPE_CHECKING
from rootrun.dataclass import dataclass
from rootrun.errors import LimitError, RootrunError, SandboxError, UsageError
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.spec import Limits

if TYPE_CHECKING:
    from rootrun.sandbox.cgroup import Cgroup

_MIB = 1 << 20
_UNLIMITED = 2**31 - 1  # more than any machine has of what is limited here
_CPU_PERIOD_US = 100_000  # the kernel's own default (cgroup-v2.rst, cpu.max)
_FEWEST_CPUS = 0.01  # cpu.max takes no quota below 1 ms
_OWN_IN_CGROUP = 2  # monitor and init
_OWN_OUTSIDE = 4  # main process, monitor, and what copies the base and watches the disk
_INIT = 1
_COUNTED_SINCE = (5, 14)  # a user namespace counts what all its users run


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Who keeps the limits of a container. What ``cgroup`` does not, init does, or its kernel."""

    limits: Limits
    cgroup: "Cgroup | None" = None
    is_counted_by_namespace: bool = False  # RLIMIT_NPROC of a user namespace of its own
    sampled_memory_bytes: int | None = None  # the limit, where init has to look
    sampled_pids: int | None = None  # likewise

    def limit_namespace(self) -> None:
        """Have the user namespace that this process makes next bounded by the limit on pids."""
        if self.is_counted_by_namespace and self.limits.pids is not None:
            soft, hard = self.limits.pids + _INIT + _OWN_OUTSIDE, _hard(resource.RLIMIT_NPROC)
            resource.setrlimit(resource.RLIMIT_NPROC, (min(soft, hard), hard))

    def limit_children(self) -> None:
        """Put this process, init, and what it forks from now on, under what is inherited."""
        if self.is_counted_by_namespace and self.limits.pids is not None:
            count = min(self.limits.pids + _INIT, _hard(resource.RLIMIT_NPROC))
            resource.setrlimit(resource.RLIMIT_NPROC, (count, count))
        if self.limits.cpus is not None:
            usable = sorted(os.sched_getaffinity(0))
            first = os.urandom(1)[0] % len(usable)  # else all runs would share the first ones
            turned = usable[first:] + usable[:first]
            os.sched_setaffinity(0, turned[: math.ceil(self.limits.cpus)])

    def check_memory(self, name: str) -> None:
        """Raise LimitError if the kernel has ended the container for its memory."""
        if self.cgroup is None or self.limits.memory_bytes is None:
            return
        if self.cgroup.was_out_of_memory():
            raise memory_error(name, self.limits.memory_bytes, self.cgroup.peak_memory_bytes())


def memory_error(name: str, limit_bytes: int, peak_bytes: int | None) -> LimitError:
    """Return the error for a step ``name`` that needs more memory than it may."""
    peak = "" if peak_bytes is None else f": it had {size_text(peak_bytes)}"
    return LimitError(f"run {name}: --memory: more than {size_text(limit_bytes)}{peak}")


def pids_error(name: str, limit: int | None) -> RootrunError:
    """Return the error for a step ``name`` in which the kernel lets nobody fork (EAGAIN)."""
    if limit is None:
        return SandboxError(f"run {name}: start a process: {os.strerror(errno.EAGAIN)}")
    return LimitError(f"run {name}: --pids: no more than {limit} at a time")


def size_text(size_bytes: int) -> str:
    """Return a size as messages have it: in MiB, or in bytes where it is less than one."""
    return f"{size_bytes / _MIB:.1f} MiB" if size_bytes >= _MIB else f"{size_bytes} bytes"


def check_limits(limits: Limits) -> None:
    """Raise what no container can keep here, before there is one."""
    hard = _hard(resource.RLIMIT_NOFILE)
    if limits.nofile is not None and limits.nofile > hard:
        raise UsageError(f"--nofile: {limits.nofile}: more than the hard limit of {hard}")
    if limits.cpus is not None and limits.cpus < _FEWEST_CPUS:
        raise UsageError(f"--cpus: {limits.cpus:g}: less than {_FEWEST_CPUS:g}")
    if limits.cpus is not None and limits.cpus % 1:
        _, refusal = _parent_for(limits)
        if refusal:
            raise SandboxError(
                f"--cpus: {limits.cpus:g}: a part of a processor takes a control group: {refusal}",
                hint="a whole number of processors needs none; see LIMITS in rootrun(1)",
            )


def _hard(kind: int) -> int:
    _, hard = resource.getrlimit(kind)
    return _UNLIMITED if hard == resource.RLIM_INFINITY else hard


@contextmanager
def kept_limits(limits: Limits, id_map: IdMap) -> Iterator[Keeping]:
    """Find out who keeps ``limits``, log it, and hold the control group, if one can be had."""
    controllers = _controllers(limits)
    if not controllers:
        yield Keeping(limits=limits)
        return
    parent, refusal = _parent_for(limits)
    if parent is None:
        log.info("limits: no control group: %s", refusal)
        yield _without_cgroup(limits, id_map)
        return
    from rootrun.sandbox.cgroup import new_cgroup

    with new_cgroup(parent, _settings(limits)) as cgroup:
        log.info("limits: %s: kept by the control group %s", ", ".join(controllers), cgroup.path)
        yield Keeping(limits=limits, cgroup=cgroup)


def _parent_for(limits: Limits) -> tuple[Path | None, str]:
    from rootrun.sandbox.cgroup import find_parent

    return find_parent(_controllers(limits))


def _controllers(limits: Limits) -> tuple[str, ...]:
    wanted = {"memory": limits.memory_bytes, "pids": limits.pids, "cpu": limits.cpus}
    return tuple(name for name, value in wanted.items() if value is not None)


def _settings(limits: Limits) -> dict[str, str]:
    settings = {}
    if limits.memory_bytes is not None:
        settings["memory.max"] = str(limits.memory_bytes)
        settings["memory.swap.max"] = "0"
        settings["memory.oom.group"] = "1"
    if limits.pids is not None:
        settings["pids.max"] = str(limits.pids + _OWN_IN_CGROUP)
    if limits.cpus is not None:
        settings["cpu.max"] = f"{round(limits.cpus * _CPU_PERIOD_US)} {_CPU_PERIOD_US}"
    return settings


def _without_cgroup(limits: Limits, id_map: IdMap) -> Keeping:
    is_counted = limits.pids is not None and _namespace_counts(id_map)
    if limits.memory_bytes is not None:
        log.info("limits: memory: kept by looking at what the processes have")
    if limits.pids is not None:
        how = "kept by RLIMIT_NPROC" if is_counted else "kept by counting the processes"
        log.info("limits: pids: %s", how)
    if limits.cpus is not None:
        log.info("limits: cpu: kept by the processors to run on (sched_setaffinity)")
    return Keeping(
        limits=limits,
        is_counted_by_namespace=is_counted,
        sampled_memory_bytes=limits.memory_bytes,
        sampled_pids=None if is_counted else limits.pids,
    )


def _namespace_counts(id_map: IdMap) -> bool:
    """Say whether RLIMIT_NPROC bounds what runs in a user namespace below ``id_map``."""
    # Root of the machine is exempt, whatever namespace it is in (copy_process in kernel/fork.c).
    if any(extent.host_id == 0 for extent in id_map.uids):
        return False
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return found is not None and (int(found[1]), int(found[2])) >= _COUNTED_SINCE
