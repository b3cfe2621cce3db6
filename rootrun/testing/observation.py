"""What runs in a machine, and what it uses."""

from collections.abc import Sequence

from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.serving import USAGE
from rootrun.sandbox.usage import Used
from rootrun.testing.asking import content_of
from rootrun.testing.link import MachineLink
from rootrun.testing.task_names import PROCESSES, SOCKETS, USED


class Process(NamedTuple):
    """A process of a machine. What is None could not be told, as of one that has just ended."""

    pid: int  # as the machine sees it
    host_pid: int
    parent: int  # 1 for what init, which is rootrun's and not among them, has started
    name: str
    command: tuple[str, ...]  # with its arguments; nothing of a zombie
    uid: int  # effective, as the machine sees it
    state: str  # running, sleeping, disk-sleep, stopped, tracing-stop, zombie, ...
    resident_bytes: int
    share_bytes: int | None  # of the memory that it has, what is shared counted in part (PSS)
    cpu_s: float
    started_s: float  # since the epoch
    thread_count: int
    open_count: int | None  # descriptors


class Usage(NamedTuple):
    """What a machine used since it was booted, also by processes that have ended."""

    peak_memory_bytes: int  # of all at a time: as a control group says, else as far as it was seen
    memory_bytes: int
    user_s: float
    system_s: float
    process_count: int
    started_count: int  # processes and threads, also those that made files and commands available
    disk_bytes: int  # added or changed since the machine was made, over all its boots
    received_bytes: int | None  # by its networks; None: it has the host's
    sent_bytes: int | None


def processes(link: MachineLink, *, deadline_s: float | None = None) -> Sequence[Process]:
    """Return what runs in a machine, by pid."""
    told = content_of(link.ask(PROCESSES, what=f"{link.name}: processes", deadline_s=deadline_s))
    assert isinstance(told, list)
    return [Process(*values)._replace(command=tuple(values[4])) for values in told]


def usage(link: MachineLink) -> Usage:
    """Return what a machine used since it was booted."""
    what = f"{link.name}: usage"
    used = Used(*link.ask(USAGE, what=what).message.values)  # type: ignore[arg-type] # as init sent them
    counted, *others = link.ask(USED, what=what).message.values
    peak_bytes = int(counted or used.peak_memory_bytes)
    return Usage(peak_bytes, *used[1:], *others)  # type: ignore[arg-type] # as the keeper sent them


def listeners(link: MachineLink) -> dict[int, tuple[int, str]]:
    """Return pid and name of a process that has each socket of a machine open, by its inode."""
    told = content_of(link.ask(SOCKETS, what=f"{link.name}: sockets"))
    assert isinstance(told, list)
    return {inode: (pid, name) for inode, pid, name in told}
