"""What the processes of a container use, as its init sees it: samples, and the limits on them.

Init looks, and not the main process: its /proc shows the processes of the container alone. All that
is read is opened before the script starts, which may mount over any path.
"""

import os
import resource
import time

from rootrun.errors import LimitError, SandboxError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.limits import Keeping, memory_error
from rootrun.sandbox.spec import HOST_TREE, ContainerSpec

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0
_LONGEST_LIMITED_PAUSE_S = 0.02
_NO_SAMPLES_PAUSE_S = 3600.0
_COUNT_PAUSE_S = 0.002
_LOADAVG_BYTES = 100
# Looking takes at most a tenth of the time where a limit depends on it, else a hundredth.
_LIMITED_COST_FACTOR = 10
_COST_FACTOR = 100
_OPEN_PATH = os.O_PATH | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_CLOEXEC
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_THREADS = 17  # the 20th field of /proc/PID/stat; the list begins behind the name, at the third
_CPU_TIMES = slice(11, 15)  # the 14th to the 17th
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SHARES = (b"Pss_Anon", b"Pss_Shmem", b"SwapPss")


class Used(NamedTuple):
    """What a container used since its start, also by processes that have ended."""

    peak_memory_bytes: int  # of all at a time, as far as it was seen
    memory_bytes: int
    user_s: float
    system_s: float
    process_count: int
    started_count: int  # processes and threads


class UsageWatch:
    """Looks at the processes of this container from time to time, as their limits want it."""

    __slots__ = (
        "_cost_factor",
        "_counter",
        "_descriptors",
        "_keeping",
        "_longest_pause_s",
        "_next_s",
        "_pause_s",
        "_proc",
        "peak_memory_bytes",
    )

    def __init__(self, spec: ContainerSpec, keeping: Keeping) -> None:
        self._keeping = keeping
        self._proc: int | None = os.open("/proc", _OPEN_DIRECTORY)
        if os.readlink("self", dir_fd=self._proc) != "1":
            self._proc = None  # a bind of that outside, where another could not be mounted
            _refuse_unseen(keeping)
        self._counter = _Counter(self._proc)
        root = "/" if spec.host_tree is None else HOST_TREE
        in_memory = ["/dev", "/dev/shm", *spec.tmpfs, *([root] if spec.has_root_in_memory else [])]
        self._descriptors = [os.open(path, _OPEN_PATH) for path in in_memory]
        is_limited = keeping.sampled_memory_bytes is not None
        self._longest_pause_s = _LONGEST_LIMITED_PAUSE_S if is_limited else _LONGEST_PAUSE_S
        self._cost_factor = _LIMITED_COST_FACTOR if is_limited else _COST_FACTOR
        self._pause_s = _FIRST_PAUSE_S
        self._next_s = time.monotonic() + self._pause_s
        self.peak_memory_bytes = 0

    @property
    def pause_s(self) -> float:
        """How long it is until ``look`` wants to be called."""
        if self._proc is None:
            return _NO_SAMPLES_PAUSE_S
        pause_s = max(0.0, self._next_s - time.monotonic())
        return pause_s if self._keeping.sampled_pids is None else min(pause_s, _COUNT_PAUSE_S)

    def look(self, name: str) -> None:
        """Look whether it is time; raise LimitError, about the step ``name``, if a limit is passed.

        First at the number of processes, which can grow a thousandfold in the time of a sample.
        """
        if self._proc is None:
            return
        if self._keeping.sampled_pids is not None:
            self._counter.check(self._keeping.sampled_pids, name)
        started_s = time.monotonic()
        if started_s < self._next_s:
            return
        memory_bytes = self._memory_bytes(self._proc)
        ended_s = time.monotonic()
        self._pause_s = max(
            min(2 * self._pause_s, self._longest_pause_s), self._cost_factor * (ended_s - started_s)
        )
        self._next_s = ended_s + self._pause_s
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory_bytes)
        limit_bytes = self._keeping.sampled_memory_bytes
        if limit_bytes is not None and memory_bytes > limit_bytes:
            raise memory_error(name, limit_bytes, memory_bytes)

    def started_count(self) -> int:
        """Return how many processes and threads were started in this container, without init."""
        return self._counter.last_pid() - 1

    def used(self) -> Used:
        """Return what was used so far."""
        pids = [] if self._proc is None else _pids(self._proc)
        ended, own = (
            resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)
        )
        user_s, system_s, memory_bytes = ended.ru_utime, ended.ru_stime, 0
        if self._proc is not None:
            memory_bytes = self._shared_out(self._proc, pids, self._in_files())
            for pid in pids:
                times = _cpu_times(self._proc, pid)
                user_s, system_s = user_s + times[0], system_s + times[1]
        self.peak_memory_bytes = max(self.peak_memory_bytes, memory_bytes)
        peak_bytes = self.peak_memory_bytes
        if ended.ru_maxrss > own.ru_maxrss:  # else it is that of a fork of ours
            peak_bytes = max(peak_bytes, ended.ru_maxrss << 10)
        return Used(peak_bytes, memory_bytes, user_s, system_s, len(pids), self.started_count())

    def _in_files(self) -> int:
        return sum(_used_bytes(fd) for fd in self._descriptors)

    def _memory_bytes(self, proc: int) -> int:
        """Return what all processes have, or, if that is below the peak so far, a bound of it."""
        pids = _pids(proc)
        in_files = self._in_files()
        # Resident pages count once for each process that shares them: an upper bound, and cheap.
        bound = in_files + sum(_resident_bytes(proc, pid) for pid in pids)
        if bound <= self.peak_memory_bytes:
            return bound
        return self._shared_out(proc, pids, in_files)

    def _shared_out(self, proc: int, pids: list[str], in_files: int) -> int:
        shares = [_shares_bytes(proc, pid) for pid in pids]
        private = sum(anonymous + swapped for anonymous, _, swapped in shares)
        mapped = sum(shared for _, shared, _ in shares)
        return private + max(mapped, in_files)


class _Counter:
    """Counts processes and threads, in full only if enough were started since the last time."""

    __slots__ = ("_count", "_counted_at", "_last_pid", "_proc")

    def __init__(self, proc: int | None) -> None:
        self._proc = proc
        self._last_pid = os.open("/proc/loadavg", _OPEN_FILE)
        self._count = 0
        self._counted_at = self.last_pid()

    def last_pid(self) -> int:
        """Return the pid that was last given away in our namespace (proc_loadavg(5))."""
        return int(os.pread(self._last_pid, _LOADAVG_BYTES, 0).split()[-1])

    def check(self, limit: int, name: str) -> None:
        """Raise LimitError, about the step ``name``, if there are more than ``limit``."""
        last_pid = self.last_pid()
        if 0 <= last_pid - self._counted_at <= limit - self._count:
            return
        assert self._proc is not None
        pids = _pids(self._proc)
        count = len(pids)
        if count <= limit:
            count = sum(_thread_count(self._proc, pid) for pid in pids)
        if count > limit:
            raise LimitError(f"run {name}: --pids: more than {limit} at a time: there were {count}")
        self._count, self._counted_at = count, last_pid


def _refuse_unseen(keeping: Keeping) -> None:
    limits = {"--memory": keeping.sampled_memory_bytes, "--pids": keeping.sampled_pids}
    for option, limit in limits.items():
        if limit is not None:
            raise SandboxError(
                f"{option}: cannot be kept: there is no control group, and no /proc of our own",
                hint="see LIMITS in rootrun(1)",
            )


def _pids(proc: int) -> list[str]:
    return [name for name in os.listdir(proc) if name.isdecimal() and name != "1"]


def _resident_bytes(proc: int, pid: str) -> int:
    fields = _read(proc, f"{pid}/statm").split()
    return int(fields[1]) * _PAGE_BYTES if fields else 0


def _thread_count(proc: int, pid: str) -> int:
    fields = _read(proc, f"{pid}/stat").rpartition(b")")[2].split()
    return int(fields[_THREADS]) if fields else 0


def _cpu_times(proc: int, pid: str) -> tuple[float, float]:
    """Return the seconds of user and system that a process and its reaped children took."""
    fields = _read(proc, f"{pid}/stat").rpartition(b")")[2].split()
    if not fields:
        return 0.0, 0.0
    user, system, children_user, children_system = map(int, fields[_CPU_TIMES])
    return (user + children_user) / _TICKS_PER_S, (system + children_system) / _TICKS_PER_S


def _shares_bytes(proc: int, pid: str) -> tuple[int, int, int]:
    """Return a process's share of anonymous, of shared and of swapped memory.

    That of files is left out: the kernel takes it back where memory is short.
    """
    found = dict.fromkeys(_SHARES, 0)
    for line in _read(proc, f"{pid}/smaps_rollup").splitlines():
        name, _, value = line.partition(b":")
        if name in found:
            found[name] = int(value.split()[0]) << 10
    anonymous, shared, swapped = found.values()
    return anonymous, shared, swapped


def _used_bytes(fd: int) -> int:
    status = os.statvfs(fd)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def _read(directory: int, path: str) -> bytes:
    try:
        fd = os.open(path, _OPEN_FILE, dir_fd=directory)
        try:
            return os.read(fd, 1 << 16)
        finally:
            os.close(fd)
    except OSError:  # it has ended, or its memory is not to be looked at
        return b""
