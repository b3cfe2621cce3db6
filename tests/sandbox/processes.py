"""The processes of a container, seen from outside."""

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

GONE_WITHIN_MS = 10_000


class Watch:
    """Processes that were alive at one time; pidfds, so that no other is taken for one of them."""

    def __init__(self, *, monitor: int, init: int, others: list[int]) -> None:
        self.pidfds = {"monitor": monitor, "init": init}
        self._pidfds = [monitor, init, *others]

    def all_end(self) -> bool:
        """Wait until every one of them has ended; False if one does not."""
        return all(_ends(pidfd) for pidfd in self._pidfds)


@contextmanager
def watched(process: subprocess.Popen[bytes]) -> Iterator[Watch]:
    """Watch the container of a driver whose script has told its pid namespace in its first line."""
    assert process.stderr is not None
    namespace = process.stderr.readline().decode().strip()
    inside = [pid for pid in _all_pids() if _pid_namespace(pid) == namespace]
    init = next(pid for pid in inside if _status_of(pid, "NSpid").split()[-1] == "1")
    others = [pid for pid in inside if pid != init]
    with ExitStack() as cleanup:
        pidfds = []
        for pid in (int(_status_of(init, "PPid")), init, *others):
            with suppress(ProcessLookupError):  # the one that told may have ended meanwhile
                pidfds.append(os.pidfd_open(pid))
                cleanup.callback(os.close, pidfds[-1])
        yield Watch(monitor=pidfds[0], init=pidfds[1], others=pidfds[2:])


def _ends(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(GONE_WITHIN_MS))


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _pid_namespace(pid: int) -> str | None:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return None


def _status_of(pid: int, field: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.strip()
    raise LookupError(field)
