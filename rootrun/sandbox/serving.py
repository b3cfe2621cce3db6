"""Pid 1 of a container that serves: it starts what it is asked for, as long as somebody may ask.

A request is a packet: a JSON object, and descriptors of which the last one is a socket for the
answer. ``Task`` names what can be asked for. Import this module before the root switch.
"""

import errno
import fcntl
import json
import os
import select
import signal
import stat
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from rootrun.annotation import TYPE_CHECKING
from rootrun.dataclass import replace
from rootrun.errors import SandboxError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.channel import InnerChannel
from rootrun.sandbox.execution import execute_step
from rootrun.sandbox.init import reap_ended
from rootrun.sandbox.limits import pids_error
from rootrun.sandbox.packets import receive_packet, send_packet, socket_of
from rootrun.sandbox.signalling import kill_session, pids, signal_to, stop_all
from rootrun.sandbox.spec import CommandStep, ContainerSpec
from rootrun.sandbox.usage import UsageWatch
from rootrun.sandbox.wire import encode, send, send_error

if TYPE_CHECKING:
    import _socket

EXECUTE, TERMINAL, OPEN = "execute", "terminal", "open"  # answered by a child, as it goes on
NETWORK_NAMESPACE = "network namespace"
KILL, PAUSE, RESUME, USAGE, SHUT_DOWN = "kill", "pause", "resume", "usage", "shut down"

_TIOCSPTLCK = 0x40045431  # unlocks the terminal of a master (ioctl_tty(2))
_TIOCGPTPEER = 0x5441  # Linux 4.13: the terminal of a master, by no name
_EXIT_NOT_STARTED = 127
_STANDARD = 3  # descriptors; one more is open until the command is executed


class Request(NamedTuple):
    """What is asked for, with the descriptors that came along and the one for the answer."""

    task: str
    values: Mapping[str, object]
    descriptors: Sequence[int]
    answer: int

    def text(self, name: str) -> str:
        """Return a value that is text."""
        return str(self.values[name])

    def number(self, name: str) -> int:
        """Return a value that is a whole number."""
        return int(str(self.values[name]))


def serve(spec: ContainerSpec, channel: InnerChannel, usage: UsageWatch) -> None:
    """Serve until nobody can ask any more, or the end is asked for.

    Raises LimitError if the processes take more than they may.
    """
    _Server(spec, channel, usage).run()


class _Server:
    def __init__(self, spec: ContainerSpec, channel: InnerChannel, usage: UsageWatch) -> None:
        self._spec = spec
        self._name = f"machine {spec.hostname}"
        self._channel = channel
        self._usage = usage
        self._requests = socket_of(channel.requests)
        self._answers: dict[int, int] = {}  # of the children that are at work, by pid
        self._paused: list[int] = []
        self._end_s: float | None = None  # when what is left is killed

    def run(self) -> None:
        woken = _wake_on_children()
        poller = select.poll()
        for fd in (self._requests.fileno(), woken):
            poller.register(fd, select.POLLIN)
        while not self._is_over():
            self._usage.look(self._name)
            for fd, _ in poller.poll(self._pause_s() * 1000):
                if fd == woken:
                    os.read(woken, 512)
                elif not self._take():
                    return
            self._tell_ended(reap_ended())

    def _pause_s(self) -> float:
        pause_s = self._usage.pause_s
        if self._end_s is None:
            return pause_s
        return min(pause_s, max(0.0, self._end_s - time.monotonic()))

    def _take(self) -> bool:
        """Take one request; return False if there will be none any more."""
        content, descriptors = receive_packet(self._requests)
        if not content:
            return False
        *given, answer = descriptors
        values = json.loads(content)
        request = Request(values["task"], values, given, answer)
        try:
            if request.task in (EXECUTE, TERMINAL, OPEN):
                self._start(request)
            else:
                self._do(request)
        except Exception as error:
            send_error(answer, error, stage=request.task)
        for fd in given:
            os.close(fd)
        if answer not in self._answers.values():
            os.close(answer)
        return True

    def _start(self, request: Request) -> None:
        pid = self._fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            try:
                _work(request, self._spec, self._channel)
            except BaseException as error:
                send_error(request.answer, error, stage=_stage_of(request))
            finally:
                os._exit(_EXIT_NOT_STARTED)
        self._answers[pid] = request.answer
        send(request.answer, "started", pid)

    def _fork(self) -> int:
        try:
            return os.fork()
        except BlockingIOError as error:
            raise pids_error(self._name, self._spec.limits.pids) from error

    def _do(self, request: Request) -> None:
        match request.task:
            case "kill":
                count = kill_session(request.number("pid"), request.number("signal"))
                send(request.answer, "done", count)
                return
            case "pause":
                self._paused = stop_all()
            case "resume":
                for pid in self._paused:
                    signal_to(pid, signal.SIGCONT)
                self._paused = []
            case "usage":
                send(request.answer, "usage", *self._usage.used())
                return
            case "network namespace":
                namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                send_packet(_sharing(request.answer), encode("opened"), [namespace])
                os.close(namespace)
                return
            case "shut down":
                self._end_s = time.monotonic() + float(str(request.values["grace_s"]))
                with suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGTERM)
                    os.kill(-1, signal.SIGCONT)
            case _:
                raise SandboxError(f"ask a machine: {request.task!r}: unknown")
        send(request.answer, "done")

    def _tell_ended(self, ended: Mapping[int, int]) -> None:
        for pid, code in ended.items():
            answer = self._answers.pop(pid, None)
            if answer is not None:
                send(answer, "ended", code)
                os.close(answer)

    def _is_over(self) -> bool:
        """Say whether the end that was asked for has come: then what is left is to be killed."""
        if self._end_s is None:
            return False
        return time.monotonic() >= self._end_s or not pids()


def _wake_on_children() -> int:
    """Return a descriptor that is readable once a child has ended."""
    reader, writer = os.pipe()
    for fd in (reader, writer):
        os.set_blocking(fd, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    return reader


def _stage_of(request: Request) -> str:
    return f"{request.task} {request.values.get('path', '')}".strip()


def _work(request: Request, spec: ContainerSpec, channel: InnerChannel) -> None:
    """Do in a child what may take its time."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    if request.task == OPEN:
        _open(request)
    if request.task == TERMINAL:
        _take_terminal(request)
    else:
        for number, fd in enumerate(request.descriptors[:_STANDARD]):
            os.dup2(fd, number)
    step = CommandStep(tuple(str(word) for word in _list(request.values["argv"])))
    chosen = replace(
        spec,
        steps=(step,),
        environment={**spec.environment, **_words(request.values.get("environment"))},
        working_directory=str(request.values.get("working_directory") or spec.working_directory),
        user=str(request.values.get("user") or spec.user or "") or None,
    )
    execute_step(chosen, 0, channel._replace(status=request.answer))


def _take_terminal(request: Request) -> None:
    """Make a terminal of this container, hand its other side over, and make it the session's."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    rows, columns = request.number("rows"), request.number("columns")
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    terminal = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    send_packet(_sharing(request.answer), encode("terminal"), [master])
    os.close(master)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)


def _open(request: Request) -> None:
    """Open a file as root of this container sees it, and hand it over; ends this process."""
    path, flags = request.text("path"), request.number("flags")
    # Not to wait for the other end of a fifo. A terminal would become ours.
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, request.number("mode"))
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "neither a file nor a directory", path)
    send_packet(_sharing(request.answer), encode("opened"), [fd])
    os._exit(0)


def _sharing(fd: int) -> "_socket.socket":
    return socket_of(os.dup(fd))


def _list(value: object) -> Sequence[object]:
    assert isinstance(value, list)
    return value


def _words(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
