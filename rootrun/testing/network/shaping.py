"""A link that delays frames, loses some, and lets only so many through.

Between the port of a machine and its bridge there is then a pair of links more, since a queue is
kept only where frames leave. Port and pair are joined by a bridge of their own, with queues of the
kernel (tc-netem(8), tc-tbf(8)), or by a process where the kernel has none of these.
"""

import errno
import os
import signal

from rootrun import log
from rootrun.errors import MachineError
from rootrun.sandbox.forking import fork_child
from rootrun.testing.network.links import Links, Netlink
from rootrun.testing.network.relay import open_relay
from rootrun.testing.network.shape import Shape

_ROOT = 0xFFFFFFFF  # TC_H_ROOT
_US = 1_000_000
_MOST_WAITING = 10_000  # frames
_WAIT_S = 0.5  # of the last byte that a queue for bandwidth takes
_BURST_BYTES = 3_200  # two frames, and what passes in a tick of the slowest clock
_TICK_S = 0.004


class Shaper:
    """What is between the port of a machine and its bridge. ``uplink`` belongs at the bridge."""

    def __init__(self, links: Links, number: int, port: int, shape: Shape) -> None:
        self._links = links
        self._joint: int | None = None  # a bridge
        self._relay: int | None = None  # a pid
        self.uplink, self._inner = links.make_pair(f"up{number}", f"inner{number}")
        try:
            self._join(number, port, shape)
            for index in (self._inner, self.uplink):
                links.set_up(index, is_up=True)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take it away. The port is then at no bridge."""
        if self._relay is not None:
            os.kill(self._relay, signal.SIGKILL)
            os.waitpid(self._relay, 0)
        self._links.remove(self.uplink)
        if self._joint is not None:
            self._links.remove(self._joint)

    def _join(self, number: int, port: int, shape: Shape) -> None:
        ends = port, self._inner
        if all(_has_queue(self._links.netlink, index, shape) for index in ends):
            self._joint = self._links.make_bridge(f"joint{number}")
            for index in ends:
                self._links.set_bridge(index, self._joint)
            return
        log.info("shape a link: a process does it, since this kernel has no netem or tbf")
        remove_queue(self._links, port)  # in case that it has netem, and no tbf
        self._links.set_bridge(port, 0)
        relay = open_relay(ends, shape)
        self._relay = fork_child(relay)


def remove_queue(links: Links, port: int) -> None:
    """Let frames leave by ``port`` as they come, again."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        links.netlink.tc("del", index=port, parent=_ROOT)
    except NetlinkError as error:
        if error.code not in {errno.ENOENT, errno.ENODEV}:  # none is there, or the link is gone
            raise


def _has_queue(netlink: Netlink, index: int, shape: Shape) -> bool:
    """Queue what leaves by a link; return False if the kernel cannot."""
    from pyroute2.netlink.exceptions import NetlinkError

    above: dict[str, object] = {}
    try:
        if shape.delay_s or shape.loss:
            netlink.tc(
                "add",
                "netem",
                index=index,
                handle="1:",
                delay=round(shape.delay_s * _US),
                loss=shape.loss * 100,
                limit=_MOST_WAITING,
            )
            above = {"parent": "1:1"}
        if shape.bandwidth is not None:
            rate = shape.bandwidth // 8
            burst = round(_BURST_BYTES + rate * _TICK_S)
            limit = round(burst + rate * _WAIT_S)
            values = {"rate": rate, "burst": burst, "limit": limit, **above}
            netlink.tc("add", "tbf", index=index, handle="10:", **values)
    except NetlinkError as error:
        if error.code == errno.ENOENT:
            return False
        raise MachineError(f"shape a link: {os.strerror(error.code)}") from error
    return True
