"""A container as the main process sees it: two pids, a channel, and what came over it."""

import os
import select
import signal
import time
from collections.abc import Sequence
from contextlib import nullcontext

from rootrun import log
from rootrun.annotation import Protocol
from rootrun.errors import RootrunError, SandboxError
from rootrun.sandbox.channel import OuterChannel, open_channel
from rootrun.sandbox.child import ChildTask
from rootrun.sandbox.emulation import Supervision
from rootrun.sandbox.forking import fork_child
from rootrun.sandbox.idmap import IdMap, identity
from rootrun.sandbox.limits import Keeping
from rootrun.sandbox.monitor import run_monitor
from rootrun.sandbox.mounts import MountPlan
from rootrun.sandbox.spec import ContainerSpec, Outcome
from rootrun.sandbox.userns import write_maps_of
from rootrun.sandbox.wire import Message, MessageReader, error_from

_SHOWN_PROCESSES = 5
_SHOWN_COMMAND = 60  # characters of each


class Caller(Protocol):
    """Whoever asks for something while a container runs."""

    def fileno(self) -> int:
        """Return a descriptor that is readable while something is asked for (poll(2))."""

    def attend(self) -> bool:
        """Do what is asked for; return whether to go on waiting for the container."""


class RunningContainer:
    """Starts the monitor, reads what it and init report, and ends both."""

    __slots__ = (
        "_channel",
        "_ended",
        "_error",
        "_id_map",
        "_init_exit_code",
        "_init_fd",
        "_init_pid",
        "_init_used",
        "_is_init_ready",
        "_keeping",
        "_monitor",
        "_reader",
        "_supervision",
        "_warnings",
        "current_step",
    )

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._channel: OuterChannel | None = None
        self._id_map: IdMap
        self._monitor: int | None = None  # pid, until it is reaped
        self._init_pid = 0
        self._init_fd: int | None = None  # pidfd
        self._is_init_ready = False
        self._init_exit_code: int | None = None
        self._init_used = (0.0, 0)  # with all below it: seconds, KiB of the biggest
        self._ended: Message | None = None
        self._error: RootrunError | None = None
        self._supervision: Supervision | None = None
        self._warnings: set[str] = set()
        self.current_step = 0

    def start(self, spec: ContainerSpec, plan: MountPlan) -> None:
        """Fork the monitor. Call it with signals blocked, and ``destroy`` in any case."""
        self._id_map = spec.id_map
        self._channel, inner = open_channel(
            hands_over=spec.emulator is not None, serves=spec.serves
        )
        self._reader = MessageReader(self._channel.status)
        if spec.emulator is not None:
            self._supervision = Supervision(spec.emulator, os.dup(self._channel.handover))
        self._monitor = fork_child(lambda: run_monitor(spec, plan, inner, self._keeping))
        for fd in inner:
            os.close(fd)

    @property
    def init_pid(self) -> int:
        """The pid of init outside of the container, 0 as long as there is none."""
        return self._init_pid

    @property
    def requests(self) -> int:
        """The descriptor by which init is asked for commands, if it serves."""
        assert self._channel is not None
        return self._channel.requests

    @property
    def peak_memory_bytes(self) -> int | None:
        """The most that was in use at a time, where a control group counts it."""
        cgroup = self._keeping.cgroup
        return cgroup.peak_memory_bytes() if cgroup else None

    def wait(
        self,
        deadline_s: float | None,
        alongside: Sequence[ChildTask] = (),
        caller: Caller | None = None,
    ) -> bool:
        """Return True once all is over, False if ``deadline_s`` (monotonic) came first.

        Or if ``caller`` has had enough. Raises the error of a task ``alongside`` as soon as it has
        failed, or of the emulator.
        """
        assert self._channel is not None
        tasks = {task.fileno(): task for task in alongside}
        callers = {} if caller is None else {caller.fileno(): caller}
        poller = select.poll()
        for fd in (self._channel.status, *tasks, *callers):
            poller.register(fd, select.POLLIN)
        with self._supervision.watching(poller) if self._supervision else nullcontext():
            while not self._reader.is_at_end:
                found = poller.poll(_milliseconds_until(deadline_s))
                # Also while there is always another call to answer.
                if not found or _milliseconds_until(deadline_s) == 0:
                    return False
                for fd, events in found:
                    if fd in tasks:
                        poller.unregister(fd)
                        tasks[fd].wait()
                    elif fd == self._channel.status:
                        self._take_messages()
                    elif fd in callers:
                        if not callers[fd].attend():
                            return False
                    elif self._supervision is not None:
                        self._supervision.attend(fd, events, poller)
        return True

    def stop(self, number: int, *, grace_s: float) -> None:
        """Pass signal ``number`` on to the step and wait for the end, ``grace_s`` at most."""
        if self._monitor is not None:
            os.kill(self._monitor, number)
            self.wait(time.monotonic() + grace_s)

    def destroy(self) -> None:
        """Kill what still runs and return when no process of the container is left."""
        if self._init_fd is not None:
            self._kill_init(self._init_fd)
        elif self._monitor is not None:
            os.kill(self._monitor, signal.SIGKILL)  # init, if any, waits for us in vain and ends
        self._reap_monitor()
        if self._supervision is not None:
            self._supervision.close()
            self._supervision = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def outcome(self, name: str, *, wall_s: float) -> Outcome:
        """Return how it ended, once it has; raise what went wrong, with the step ``name``."""
        self._reap_monitor()
        self._keeping.check_memory(name)
        if self._error is not None:
            raise self._error
        if self._init_exit_code is None:
            raise SandboxError("run container: its monitor process: was killed")
        if self._init_exit_code != 0 or self._ended is None:
            how = f"exit status {self._init_exit_code}"
            if self._init_exit_code < 0:
                how = f"was killed by signal {-self._init_exit_code}"
            raise SandboxError(f"run container: its init process: {how}")
        return self._outcome(self._ended, wall_s)

    def _outcome(self, ended: Message, wall_s: float) -> Outcome:
        step, code, own_cpu_s, sampled_bytes, started = (
            float(value or 0) for value in ended.values
        )
        cpu_s, max_rss_kib = self._init_used
        return Outcome(
            step=int(step),
            exit_status=int(code) if code >= 0 else None,
            signal_number=int(-code) if code < 0 else None,
            wall_s=wall_s,
            cpu_s=max(0.0, cpu_s - own_cpu_s),
            peak_memory_bytes=self.peak_memory_bytes or max(int(sampled_bytes), max_rss_kib << 10),
            started_count=int(started),
            has_warned=bool(self._warnings),
        )

    def describe_processes(self) -> str:
        """Return the command lines of the processes in the container, some of them at most."""
        import psutil

        try:
            found = psutil.Process(self._init_pid).children(recursive=True)
            commands = [" ".join(process.cmdline()) or process.name() for process in found]
        except psutil.Error:
            return "processes that cannot be listed"
        shown = [command[:_SHOWN_COMMAND] for command in commands[:_SHOWN_PROCESSES]]
        more = len(commands) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")

    def _take_messages(self) -> None:
        for message in self._reader.read():
            match message.kind:
                case "init":
                    self._hold_init(int(message.values[0] or 0))
                    self._let_init_go()
                case "ready":
                    self._is_init_ready = True
                    self._let_init_go()
                case "unmapped":
                    self._map_init()
                case "step":
                    self.current_step = int(message.values[0] or 0)
                case "note" | "warning":
                    self._tell(message.kind, str(message.values[0]))
                case "error":
                    self._error = self._error or error_from(message)
                case "ended":
                    self._ended = message
                case "init-ended":
                    code, cpu_s, max_rss_kib = message.values
                    self._init_exit_code = int(code or 0)
                    self._init_used = float(cpu_s or 0), int(max_rss_kib or 0)

    def _tell(self, kind: str, text: str) -> None:
        if kind == "note":
            log.debug("%s", text)
        elif text not in self._warnings:  # each step has the same to say
            self._warnings.add(text)
            log.warning("%s", text)

    def _hold_init(self, pid: int) -> None:
        # Init cannot be gone and its pid taken by another: it waits for our go, and only an end by
        # force would have let the monitor reap it.
        self._init_pid = pid
        try:
            self._init_fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._init_fd = None

    def _let_init_go(self) -> None:
        if not self._is_init_ready:
            return
        assert self._channel is not None
        assert self._monitor is not None
        # If the monitor was dead before init tied its life to it, nothing else would end init.
        if os.waitid(os.P_PID, self._monitor, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            self._channel.let_end()
        # "init" is sent by the monitor and "ready" by init: on a busy machine in any order.
        elif self._init_fd is not None:
            self._channel.let_go()

    def _map_init(self) -> None:
        assert self._channel is not None
        uids, gids = identity(self._id_map.uids), identity(self._id_map.gids)
        try:
            write_maps_of(self._init_pid, uids, gids)
        except FileNotFoundError:
            return  # it was killed, as the monitor will tell
        self._channel.let_go()

    def _kill_init(self, pidfd: int) -> None:
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the usual case
        else:
            if self._supervision is not None:
                self._supervision.reap_tracees()
            # Readable once init has ended, and with it everything in its namespace: also if its
            # monitor was killed, and somebody else reaps it.
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            poller.poll()
        os.close(pidfd)
        self._init_fd = None

    def _reap_monitor(self) -> None:
        if self._monitor is not None:
            os.waitpid(self._monitor, 0)
            self._monitor = None


def _milliseconds_until(deadline_s: float | None) -> int | None:
    if deadline_s is None:
        return None
    return max(0, round((deadline_s - time.monotonic()) * 1000))
