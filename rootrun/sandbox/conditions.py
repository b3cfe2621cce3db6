"""Making a container's machine look another one to a script that asks for such things."""

import os
from collections.abc import Callable

from rootrun.sandbox import syscalls
from rootrun.sandbox.spec import Conditions

_TIME_OFFSETS = "/proc/self/timens_offsets"


def set_conditions(conditions: Conditions, tell: Callable[[str], None]) -> None:
    """Have the children of this process, pid 1 of the container, live under ``conditions``.

    ``tell`` is told what the kernel does not allow: the rest holds all the same.
    """
    changes: dict[str, tuple[Callable[[int], None], int]] = {
        "processors": (_limit_processors, conditions.cpu_count),
        "uptime": (_move_uptime, conditions.uptime_offset_s),
        "pids": (_skip_pids, conditions.skipped_pids),
    }
    for name, (change, value) in changes.items():
        try:
            change(value)
        except OSError as error:
            tell(f"check: {name}: {error.strerror}")


def _limit_processors(count: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _move_uptime(offset_s: int) -> None:
    """Enter a new time namespace, for children (time_namespaces(7), Linux 5.6)."""
    syscalls.unshare(syscalls.CLONE_NEWTIME)
    syscalls.allow_inspection()  # else the file is not ours; nobody is there yet who could look
    try:
        with open(_TIME_OFFSETS, "w", encoding="ascii") as offsets:
            offsets.write(f"monotonic {offset_s} 0\nboottime {offset_s} 0\n")
    finally:
        syscalls.forbid_inspection()


def _skip_pids(count: int) -> None:
    # Not by /proc/sys/kernel/ns_last_pid: that is read-only here.
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
