"""The processes of a container as its init stops and kills them, by its own /proc."""

import os
import signal
import time
from contextlib import suppress

_STILL_WITHIN_S = 2.0
_REACHED_WITHIN_S = 1.0
_PAUSE_S = 0.001
_STOPPED = b"TtZX"
_ENDED = (b"Z", b"X")
_AWAKE = b"RS"  # D: waits for a child of vfork(2), which is stopped itself, or for the disk


def pids() -> list[int]:
    """Return all processes of the container but its init."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal() and name != "1"]


def _stat_of(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on; nothing for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def signal_to(pid: int, number: int) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_session(leader: int, number: int) -> int:
    """Send a signal to all processes of the session of ``leader``; return how many there were.

    Without those that have ended and not been reaped. Each gets it once, those too that others of
    them start before they have it; who has SIGKILL starts none any more.
    """
    reached: set[int] = set()
    end_s = time.monotonic() + _REACHED_WITHIN_S  # the others of a fork bomb go on
    while time.monotonic() < end_s:
        found = _session(leader) - reached
        if not found:
            break
        for pid in found:
            signal_to(pid, number)
        reached |= found
    return len(reached)


def _session(leader: int) -> set[int]:
    found = set()
    for pid in pids():
        fields = _stat_of(pid)
        # The leader may be about to make the session.
        if fields and leader in (pid, int(fields[3])) and fields[0] not in _ENDED:
            found.add(pid)
    return found


def stop_all() -> list[int]:
    """Stop all processes, and return which were not stopped before, once all stand still."""
    asleep = {pid for pid in pids() if _state(pid) in _STOPPED}
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGSTOP)  # at once: nobody can fork out of it
    end_s = time.monotonic() + _STILL_WITHIN_S
    while any(_state(pid) in _AWAKE for pid in pids()) and time.monotonic() < end_s:
        time.sleep(_PAUSE_S)
    return [pid for pid in pids() if pid not in asleep]  # with those that came in between


def _state(pid: int) -> bytes:
    fields = _stat_of(pid)
    return fields[0] if fields else b"X"
