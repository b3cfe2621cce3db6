"""Bytes carried between what a command has as its own and what this process was given.

So a command never holds a descriptor of ours: by /proc it could open a file once more to write to
it, and feed a terminal with what its user would seem to have typed (TIOCSTI).
"""

import errno
import math
import os
import select
from collections.abc import Callable, Sequence

from rootrun import log
from rootrun.errors import EXIT_SIGNAL_BASE
from rootrun.testing.asking import Answers

_CHUNK_BYTES = 1 << 16
_PIECE_BYTES = select.PIPE_BUF  # a pipe that is writable takes as much without blocking (pipe(7))
_GONE = (errno.EIO, errno.EPIPE)  # EIO: no process has the other side of a terminal open any more


class Flow:
    """From ``source`` to ``sink``, one chunk at a time.

    One that is ``for_command`` is over once the command reads no more; else that nobody reads
    raises BrokenPipeError. ``end`` is called once, when all has been carried.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        *,
        for_command: bool = False,
        end: Callable[[], None] | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._for_command = for_command
        self._end = end
        self._rest = b""
        self._has_ended = False
        self.read_bytes = 0  # so far

    @property
    def waits_for(self) -> tuple[int, int] | None:
        """The descriptor, and what is to happen to it (poll(2)); None: all has been carried."""
        if self._rest:
            return self._sink, select.POLLOUT
        return None if self._has_ended else (self._source, select.POLLIN)

    @property
    def has_rest(self) -> bool:
        """Whether something was read that is yet to be written."""
        return bool(self._rest)

    def move(self) -> bool:
        """Read or write once; return False if that was not possible now, or ever."""
        try:
            if self._rest:
                self._write()
            else:
                self._read()
        except BlockingIOError:
            return False
        if self.waits_for is None and self._end is not None:
            self._end()
            self._end = None
        return self.waits_for is not None

    def _read(self) -> None:
        try:
            self._rest = os.read(self._source, _CHUNK_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        self._has_ended = not self._rest
        self.read_bytes += len(self._rest)

    def _write(self) -> None:
        try:
            count = os.write(self._sink, self._rest[:_PIECE_BYTES])
        except OSError as error:
            if not self._for_command or error.errno not in _GONE:
                raise
            count, self._has_ended = len(self._rest), True
        self._rest = self._rest[count:]


def carry(
    flows: Sequence[Flow], answers: Answers, *, interval_s: float | None, look: Callable[[], None]
) -> int | None:
    """Carry until the command has ended, and return its status; None if its machine ended first.

    ``look`` is called every ``interval_s`` seconds, if that is not None. Raises what kept the
    command from starting.
    """
    while True:
        ready = _wait(flows, answers, interval_s)
        look()
        for flow in flows:
            wanted = flow.waits_for
            if wanted and ready.get(wanted[0], 0) & (wanted[1] | select.POLLHUP | select.POLLERR):
                flow.move()
        if answers.fileno() in ready:
            answer = answers.next(None, what="a command")
            if answer is None:
                return None
            kind, (value, *_) = answer.message
            if kind == "warning":
                log.warning("%s", value)
            elif kind == "ended":
                code = int(value or 0)
                return code if code >= 0 else EXIT_SIGNAL_BASE - code


def carry_rest(flow: Flow, *, held_bytes: float = math.inf) -> None:
    """Carry what a command, which has ended, wrote until then; its end must not block.

    That is no more than ``held_bytes``, which what it left running may go on to fill.
    """
    last = flow.read_bytes + held_bytes
    while flow.has_rest or (flow.waits_for is not None and flow.read_bytes < last):
        if not flow.move():
            if not flow.has_rest:
                break
            _wait([flow], None, None)


def _wait(
    flows: Sequence[Flow], answers: Answers | None, interval_s: float | None
) -> dict[int, int]:
    """Return what has happened to which descriptor."""
    wanted = {} if answers is None else {answers.fileno(): select.POLLIN}
    for flow in flows:
        if flow.waits_for is not None:
            fd, events = flow.waits_for
            wanted[fd] = wanted.get(fd, 0) | events
    poller = select.poll()
    for fd, events in wanted.items():
        poller.register(fd, events)
    return dict(poller.poll(None if interval_s is None else interval_s * 1000))
