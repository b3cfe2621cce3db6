"""Frames that are passed on from one link to another: later, not all, and so many in a second.

What netem does, for kernels without it. Frames come with what the kernel knows of their checksums
and segments (PACKET_VNET_HDR, packet(7)), so that those go on that no wire would carry.
"""

import heapq
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from rootrun.annotation import TYPE_CHECKING
from rootrun.sandbox import syscalls
from rootrun.sandbox.forking import keep_only
from rootrun.testing.network.shape import Shape

if TYPE_CHECKING:
    import socket

_SOL_PACKET = 263
_PACKET_VNET_HDR = 15
_PACKET_IGNORE_OUTGOING = 23  # Linux 4.20
_PACKET_OUTGOING = 4
_ETH_P_ALL = 3
_HEADER_BYTES = 10  # struct virtio_net_hdr
_LONGEST_FRAME = _HEADER_BYTES + 65536 + 64
_MOST_WAITING = 10_000  # frames
_WAIT_S = 0.5  # of the last frame that a line takes
_AT_ONCE = 64  # frames of one link, before it is the other's turn


def open_relay(links: Sequence[int], shape: Shape) -> Callable[[], None]:
    """Return what passes frames on between two links, given by index, until it is killed."""
    sockets = [_open(index) for index in links]
    descriptors = [one.fileno() for one in sockets]

    def run() -> None:
        keep_only(descriptors)  # those of others: a machine's namespace would outlive it
        syscalls.hide_command_line("rootrun-relay")
        _Relay(sockets, shape).run()

    return run


def _open(index: int) -> "socket.socket":
    import socket

    name = socket.if_indextoname(index)
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with suppress(OSError):
        opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    opened.bind((name, _ETH_P_ALL))
    opened.setblocking(False)
    return opened


class _Relay:
    def __init__(self, sockets: "Sequence[socket.socket]", shape: Shape) -> None:
        import random

        self._shape = shape
        self._random = random.Random()
        one, two = sockets
        self._other = {
            one.fileno(): (one, _Line(two, shape)),
            two.fileno(): (two, _Line(one, shape)),
        }

    def run(self) -> None:
        poller = select.epoll()
        for fd in self._other:
            poller.register(fd, select.EPOLLIN)
        while True:
            due = [line.send_due() for _, line in self._other.values()]
            waits = [wait_s for wait_s in due if wait_s is not None]
            for fd, _ in poller.poll(min(waits) if waits else None):
                self._take(*self._other[fd])

    def _take(self, source: "socket.socket", line: "_Line") -> None:
        for _ in range(_AT_ONCE):
            try:
                frame, (_, _, kind, *_) = source.recvfrom(_LONGEST_FRAME)
            except OSError:  # no more for now, or the link is down
                return
            if kind != _PACKET_OUTGOING and self._random.random() >= self._shape.loss:
                line.add(frame)


class _Line:
    """What is on its way to one of the links."""

    def __init__(self, target: "socket.socket", shape: Shape) -> None:
        self._target = target
        self._shape = shape
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._free_s = 0.0  # when the last frame has gone into the line

    def add(self, frame: bytes) -> None:
        now_s = time.monotonic()
        start_s = max(now_s, self._free_s)
        if len(self._waiting) >= _MOST_WAITING or start_s - now_s > _WAIT_S:
            return
        if self._shape.bandwidth is not None:
            self._free_s = start_s + 8 * (len(frame) - _HEADER_BYTES) / self._shape.bandwidth
            start_s = self._free_s
        self._count += 1
        heapq.heappush(self._waiting, (start_s + self._shape.delay_s, self._count, frame))

    def send_due(self) -> float | None:
        """Send what is due; return in how many seconds more is, None if there is nothing."""
        while self._waiting:
            wait_s = self._waiting[0][0] - time.monotonic()
            if wait_s > 0:
                return wait_s
            _, _, frame = heapq.heappop(self._waiting)
            with suppress(OSError):  # full, or down: a frame is lost as on any line
                self._target.send(frame)
        return None
