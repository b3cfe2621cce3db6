"""What runs in a machine, as its keeper sees it.

The keeper is outside of the machine's namespaces, and may look at all in them.
"""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from rootrun.annotation import TYPE_CHECKING
from rootrun.fakeroot.process_status import ProcessStatus, read_process_status
from rootrun.sandbox.running import RunningContainer
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import send
from rootrun.testing.asking import answer_with_content
from rootrun.testing.task_names import PROCESSES, SOCKETS

if TYPE_CHECKING:
    import psutil

    from rootrun.testing.keeper import Keeper

_SOCKET = re.compile(r"socket:\[(\d+)\]")
_LOOPBACK = "lo"
_RECEIVED, _SENT = 0, 8  # fields of an interface (proc_pid_net(5))


def answer(keeper: "Keeper", question: Question) -> None:
    """Do what ``observation`` asks for."""
    running = keeper.check_up()
    if question.task == PROCESSES:
        answer_with_content(question.answer, sorted(_processes(keeper, running)))
    elif question.task == SOCKETS:
        answer_with_content(question.answer, [*_sockets(running)])
    else:
        disk_bytes = keeper.disk.use.added_bytes()
        has_own = not keeper.plan.has_host_network
        transferred = _transferred(running.init_pid) if has_own else (None, None)
        send(question.answer, "used", running.peak_memory_bytes, disk_bytes, *transferred)


def _processes(keeper: "Keeper", running: RunningContainer) -> Iterator[list[object]]:
    import psutil

    level = _level_of(running)
    for process in _below(running):
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            yield _told(process, keeper, level)


def _below(running: RunningContainer) -> "Iterable[psutil.Process]":
    import psutil

    try:
        return psutil.Process(running.init_pid).children(recursive=True)
    except psutil.NoSuchProcess:  # the machine is about to end
        return ()


def _level_of(running: RunningContainer) -> int:
    """Return at which place of the pids of a process that of the machine stands."""
    try:
        return len(read_process_status(running.init_pid).pids) - 1
    except (FileNotFoundError, ProcessLookupError):
        return -1


def _told(process: "psutil.Process", keeper: "Keeper", level: int) -> list[object]:
    """Return the fields of ``observation.Process``."""
    status = read_process_status(process.pid)
    with process.oneshot():
        times = process.cpu_times()
        return [
            status.pids[level],
            process.pid,
            _parent_of(process, level),
            process.name(),
            process.cmdline(),
            _uid_of(status, process.pid, keeper),
            process.status(),
            process.memory_info().rss,
            _share_bytes(process),
            times.user + times.system,
            process.create_time(),
            process.num_threads(),
            _open_count(process),
        ]


def _parent_of(process: "psutil.Process", level: int) -> int:
    parent = process.ppid()
    try:
        return read_process_status(parent).pids[level]
    except (OSError, IndexError):  # it has ended: init adopts
        return 1


def _uid_of(status: ProcessStatus, pid: int, keeper: "Keeper") -> int:
    identities = keeper.root.emulated.identities
    return status.uids[1] if identities is None else identities.of(pid).uids.effective


def _share_bytes(process: "psutil.Process") -> int | None:
    import psutil

    try:
        share_bytes: int = process.memory_full_info().pss
    except psutil.Error:
        return None
    return share_bytes


def _open_count(process: "psutil.Process") -> int | None:
    import psutil

    try:
        count: int = process.num_fds()
    except psutil.Error:
        return None
    return count


def _sockets(running: RunningContainer) -> Iterator[tuple[int, int, str]]:
    import psutil

    level = _level_of(running)
    for process in _below(running):
        with suppress(psutil.Error, OSError):
            directory = f"/proc/{process.pid}/fd"
            targets = [os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory)]
            pid, name = read_process_status(process.pid).pids[level], process.name()
            for found in filter(None, map(_SOCKET.fullmatch, targets)):
                yield int(found[1]), pid, name


def _transferred(init: int) -> tuple[int, int]:
    """Return the bytes that the interfaces of a machine have received and sent."""
    try:
        with open(f"/proc/{init}/net/dev", encoding="ascii", errors="replace") as file:
            lines = file.readlines()[2:]
    except OSError:  # it is about to end
        lines = []
    named = (line.partition(":") for line in lines)
    counts = [fields.split() for name, _, fields in named if name.strip() != _LOOPBACK]
    received, sent = (sum(int(fields[place]) for fields in counts) for place in (_RECEIVED, _SENT))
    return received, sent
