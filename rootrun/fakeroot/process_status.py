"""What the kernel says of a process in /proc/PID/status (proc_pid_status(5))."""

from rootrun.namedtuple import NamedTuple


class ProcessStatus(NamedTuple):
    """A process or a thread of it. ``pids`` are outermost first, the last is its own view."""

    pids: tuple[int, ...]
    process: int  # the pid of its process, here
    group: int  # as the process itself knows it, as the session
    session: int
    uids: tuple[int, ...]  # real, effective, saved, of the file system
    gids: tuple[int, ...]
    groups: tuple[int, ...]
    permitted: int
    effective: int
    inheritable: int

    @property
    def own_pid(self) -> int:
        """Its pid, of a thread its tid, in its own pid namespace."""
        return self.pids[-1]


def read_process_status(pid: int) -> ProcessStatus:
    """Read it; ``FileNotFoundError`` or ESRCH if there is no such process."""
    with open(f"/proc/{pid}/status", "rb") as status:
        fields = dict(line.split(b":", 1) for line in status.read().splitlines())
    return ProcessStatus(
        pids=tuple(map(int, fields[b"NSpid"].split())),
        process=int(fields[b"Tgid"]),
        group=int(fields[b"NSpgid"].split()[-1]),
        session=int(fields[b"NSsid"].split()[-1]),
        uids=tuple(map(int, fields[b"Uid"].split())),
        gids=tuple(map(int, fields[b"Gid"].split())),
        groups=tuple(map(int, fields[b"Groups"].split())),
        permitted=int(fields[b"CapPrm"], 16),
        effective=int(fields[b"CapEff"], 16),
        inheritable=int(fields[b"CapInh"], 16),
    )
