"""The stacks of a machine's processes: what each thread does, by what the kernel tells of it."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import MachineError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.serving import Request as Question
from rootrun.testing.asking import answer_with_content
from rootrun.testing.call_names import call_name
from rootrun.testing.frames import AddressSpace
from rootrun.testing.report import ALL_SESSIONS

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

_MOST_PROCESSES = 40
_MOST_THREADS = 20  # of each
_LONGEST_COMMAND = 200
_STOPS_WITHIN_S = 0.2
_PAUSE_S = 0.002
_FIRST_IS_FILE = {
    *("read", "write", "pread64", "pwrite64", "readv", "writev", "ioctl", "fcntl", "flock"),
    *("recvfrom", "recvmsg", "sendto", "sendmsg", "accept", "accept4", "connect", "fsync"),
    *("fdatasync", "epoll_wait", "epoll_pwait", "getdents64", "ftruncate", "splice", "close"),
}


class _Process(NamedTuple):
    """What /proc/PID/status says (proc_pid_status(5))."""

    pid: int  # ours
    inner_pid: int  # the machine's
    parent: int  # ours
    session: int  # the machine's
    state: str


class _Position(NamedTuple):
    """What /proc/PID/syscall says of a thread; no addresses while it runs."""

    call: int | None
    arguments: Sequence[int] = ()
    stack: int | None = None
    code: int | None = None


def answer(keeper: "Keeper", question: Question) -> None:
    """Tell the stacks of a session and of what descends from it."""
    from rootrun.testing.work import Work

    if keeper.running is None:
        raise MachineError(f"machine {keeper.plan.name}: is down")
    init_pid, leader = keeper.running.init_pid, question.number("pid")
    # In a child: memory of a hostile process may take its time to be read.
    Work(
        keeper,
        question,
        lambda asked, _: answer_with_content(asked.answer, describe_stacks(init_pid, leader)),
    ).begin()


def describe_stacks(init_pid: int, leader: int) -> str:
    """Return the stacks of the processes below ``init_pid`` that belong to session ``leader``.

    Or descend from one that does; or of all. One that computes is stopped for a moment.
    """
    found = list(_below(init_pid))
    ours = {one.pid: one for one in found if leader in (ALL_SESSIONS, one.session)}
    while more := [one for one in found if one.parent in ours and one.pid not in ours]:
        ours.update((one.pid, one) for one in more)
    shown = sorted(ours.values(), key=lambda process: process.inner_pid)
    inner = {one.pid: one.inner_pid for one in found}
    lines = [
        line
        for process in shown[:_MOST_PROCESSES]
        for line in _describe(process, inner.get(process.parent, 1))
    ]
    lines = [_printable(line) for line in lines]
    if len(shown) > _MOST_PROCESSES:
        lines.append(f"and {len(shown) - _MOST_PROCESSES} more")
    return "\n".join(lines)


def _below(init_pid: int) -> Iterator[_Process]:
    import psutil

    with suppress(psutil.Error):
        init = psutil.Process(init_pid)
        level = len(_status(init_pid)["NSpid"].split()) - 1
        for pid in [child.pid for child in init.children(recursive=True)]:
            with suppress(OSError, IndexError):
                fields = _status(pid)
                yield _Process(
                    pid=pid,
                    inner_pid=int(fields["NSpid"].split()[level]),
                    parent=int(fields["PPid"]),
                    session=int(fields["NSsid"].split()[level]),
                    state=fields["State"].strip(),
                )


def _describe(process: _Process, parent: int) -> Iterator[str]:
    command = _read(process.pid, "cmdline").replace("\0", " ").strip()
    name = command or f"[{_read(process.pid, 'comm').strip()}]"
    shown = name if len(name) <= _LONGEST_COMMAND else f"{name[:_LONGEST_COMMAND]}..."
    yield f"{process.inner_pid} {shown}: {process.state}, child of {parent}"
    try:
        threads = sorted(int(tid) for tid in os.listdir(f"/proc/{process.pid}/task"))
        space = AddressSpace(process.pid)
    except OSError as error:
        if not process.state.startswith("Z"):
            yield f"  cannot be looked at: {error.strerror}"
        return
    for tid in threads[:_MOST_THREADS]:
        yield from _describe_thread(process.pid, tid, space)
    if len(threads) > _MOST_THREADS:
        yield f"  and {len(threads) - _MOST_THREADS} more threads"


def _describe_thread(pid: int, tid: int, space: AddressSpace) -> Iterator[str]:
    position = _position(tid)
    kernel = _read(tid, "wchan").strip()
    what = "computes" if position.call is None else _call(pid, position, space)
    if position.stack is None:
        position = _position_when_stopped(pid, tid)
    where = "" if kernel in ("", "0") else f", in the kernel: {kernel}"
    yield f"  thread {_read(tid, 'comm').strip()}: {what}{where}"
    for line in _read(tid, "stack").splitlines():
        yield f"    kernel {line}"
    if position.stack is None or position.code is None:
        return
    yield f"    at {space.place(position.code, has_path=True)}"
    found = [space.place(address) for address in space.return_addresses(position.stack)]
    if found:
        yield f"    called by, if these are no remains of other calls: {', '.join(found)}"


def _position(tid: int) -> _Position:
    words = _read(tid, "syscall").split()
    if not words or words[0] == "running":
        return _Position(None)
    number, *rest = words
    *arguments, stack, code = [int(word, 16) for word in rest]
    return _Position(int(number) if int(number) >= 0 else None, arguments, stack, code)


def _position_when_stopped(pid: int, tid: int) -> _Position:
    """Stop the process until it can be seen where its thread is, or some time has passed."""
    end_s = time.monotonic() + _STOPS_WITHIN_S
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        try:
            while True:
                position = _position(tid)
                if position.stack is not None or time.monotonic() > end_s:
                    return position
                time.sleep(_PAUSE_S)
        finally:
            os.kill(pid, signal.SIGCONT)
    return _Position(None)


def _call(pid: int, position: _Position, space: AddressSpace) -> str:
    assert position.call is not None
    if not space.is_native():  # its numbers are others
        return f"system call {position.call}"
    name = call_name(position.call)
    if name in _FIRST_IS_FILE and position.arguments:
        number = position.arguments[0]
        with suppress(OSError):
            name += f" of {number}, {os.readlink(f'/proc/{pid}/fd/{number}')}"
    return name


def _printable(line: str) -> str:
    """Escape what a terminal would obey: names are the machine's to choose."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="backslashreplace") as file:
        return dict(line.partition(":")[::2] for line in file)


def _read(pid: int, name: str) -> str:
    """Return a file of /proc/PID; nothing where it may not be read, or the process has gone."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="backslashreplace") as file:
            return file.read()
    except OSError:
        return ""
