"""Work that goes on after this process has ended, out of everybody's way."""

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress

from rootrun.errors import SandboxError
from rootrun.sandbox import syscalls
from rootrun.sandbox.forking import fork_child, keep_only

_LOWEST_PRIORITY = 19


def start_detached(function: Callable[[], None], *, kept: Iterable[int], title: str) -> bool:
    """Run ``function`` in a process that outlives this one; return False if there is none.

    It has a session of its own, /dev/null for its standard streams, the lowest priority for
    processor and disk, and of all other descriptors but the ``kept``, so that nobody who reads what
    rootrun writes waits for it, or finds it among the children. A signal ends it. It shows
    ``title``, at most 15 bytes, as its name. The namespaces are those of this process.
    """
    if os.getpid() == 1:
        return False  # the kernel kills it as soon as this process ends (pid_namespaces(7))
    descriptors = sorted(kept)

    def start() -> None:
        os.setsid()
        # Forked twice, it is never a child of this process, which would have to wait for it; and
        # the signal at the parent's death is not handed on (PR_SET_PDEATHSIG(2const)).
        if os.fork() == 0:
            _be_quiet(descriptors, title)
            function()

    try:
        pid = fork_child(start)
    except SandboxError:  # no room for one more process
        return False
    return os.waitpid(pid, 0)[1] == 0


def _be_quiet(descriptors: list[int], title: str) -> None:
    os.chdir("/")
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for number in range(3):
        os.dup2(nothing, number)
    keep_only(descriptors)
    # Not SCHED_IDLE: it holds locks of the file system while it waits for the processor.
    os.setpriority(os.PRIO_PROCESS, 0, _LOWEST_PRIORITY)
    with suppress(OSError):  # a seccomp filter
        syscalls.use_idle_disk_only()
    with suppress(OSError):  # no /proc
        syscalls.hide_command_line(title)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
