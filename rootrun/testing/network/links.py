"""Links, bridges and addresses of network namespaces, by netlink (rtnetlink(7))."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rootrun.annotation import TYPE_CHECKING, Protocol
from rootrun.errors import MachineError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox import syscalls

if TYPE_CHECKING:
    from collections.abc import Sequence

_FORWARDING = 3  # BR_STATE_FORWARDING of linux/if_bridge.h
_FORWARDS_WITHIN_S = 3.0
_PAUSE_S = 0.0005
_NO_DAD = 0x02  # IFA_F_NODAD: an IPv6 address works at once, nobody else has it


class Interface(NamedTuple):
    """A machine's end of a link."""

    name: str
    mac: str
    address: str
    prefix: int

    @property
    def address_flags(self) -> int:
        """As of rtnetlink(7)."""
        return _NO_DAD if ":" in self.address else 0


class LinkMessage(Protocol):
    """What is used of pyroute2's messages about links."""

    def get_nested(self, *names: str) -> "LinkMessage | None":
        """Return an attribute of attributes."""

    def get_attr(self, name: str) -> object:
        """Return an attribute, None if it is not there."""


class Netlink(Protocol):
    """What is used of pyroute2's IPRoute, which has no types."""

    def link(self, command: str, **values: object) -> "Sequence[LinkMessage]":
        """Ask for or about links."""

    def addr(self, command: str, **values: object) -> object:
        """Ask for or about addresses."""

    def tc(self, command: str, kind: str | None = None, **values: object) -> object:
        """Ask for queueing."""

    def link_lookup(self, **values: object) -> "Sequence[int]":
        """Return the indices of links."""

    def close(self) -> None:
        """Close the socket."""


def open_netlink() -> Netlink:
    """Return a socket to the network namespace of this process, which stays with that."""
    from pyroute2 import IPRoute

    netlink: Netlink = IPRoute()
    return netlink


class Links:
    """Bridges and ports of the network namespace of this process. Close it."""

    def __init__(self) -> None:
        self.netlink = open_netlink()
        self._own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close what is open; links stay."""
        self.netlink.close()
        os.close(self._own)

    def make_bridge(self, name: str) -> int:
        """Make a bridge that forwards from its first frame on, and return its index.

        It holds back no multicast either: nobody would tell it who listens.
        """
        with _told(f"make bridge {name}"):
            self.netlink.link(
                "add",
                ifname=name,
                kind="bridge",
                state="up",
                br_stp_state=0,
                br_forward_delay=0,
                br_mcast_snooping=0,
            )
            return self._index(self.netlink, name)

    def make_port(self, name: str, bridge: int, inside: Interface, namespace: int) -> int:
        """Make a link from a bridge to ``inside`` of another ``namespace``; return the port."""
        with _told(f"make link {inside.name}"):
            peer = {"ifname": inside.name, "address": inside.mac, "net_ns_fd": namespace}
            self.netlink.link("add", ifname=name, kind="veth", state="up", master=bridge, peer=peer)
            return self._index(self.netlink, name)

    def configure(self, namespace: int, inside: Interface) -> None:
        """Give a link in ``namespace`` its address, and bring it up."""
        with _told(f"configure {inside.name} as {inside.address}"):
            netlink = self._netlink_of(namespace)
            try:
                index = self._index(netlink, inside.name)
                netlink.addr(
                    "add",
                    index=index,
                    address=inside.address,
                    prefixlen=inside.prefix,
                    flags=inside.address_flags,
                )
                netlink.link("set", index=index, state="up")
            finally:
                netlink.close()

    def make_pair(self, name: str, other: str) -> tuple[int, int]:
        """Make two links that are one another's other end, down; return their indices."""
        with _told(f"make link {name}"):
            self.netlink.link("add", ifname=name, kind="veth", peer={"ifname": other})
            return self._index(self.netlink, name), self._index(self.netlink, other)

    def set_up(self, index: int, *, is_up: bool) -> None:
        """Bring a link up or down, unless it has gone with a machine; its other end sees that."""
        with _unless_gone():
            self.netlink.link("set", index=index, state="up" if is_up else "down")

    def set_bridge(self, index: int, bridge: int) -> None:
        """Make a link a port of ``bridge`` and of no other one; 0: of none."""
        with _unless_gone():
            self.netlink.link("set", index=index, master=bridge)

    def wait_until_forwarding(self, index: int) -> None:
        """Wait until a port of a bridge passes frames on, or that takes too long.

        The kernel hears of a carrier in the background, up to a second later where both ends of the
        link happen to have one index (linkwatch_urgent_event in net/core/link_watch.c).
        """
        deadline_s = time.monotonic() + _FORWARDS_WITHIN_S
        with _unless_gone():
            while not self._is_forwarding(index) and time.monotonic() < deadline_s:
                time.sleep(_PAUSE_S)

    def _is_forwarding(self, index: int) -> bool:
        for link in self.netlink.link("get", index=index):
            port = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA")
            if port is not None and port.get_attr("IFLA_BRPORT_STATE") == _FORWARDING:
                return True
        return False

    def remove(self, index: int) -> None:
        """Remove a link, and so its other end."""
        with _unless_gone():
            self.netlink.link("del", index=index)

    def _netlink_of(self, namespace: int) -> Netlink:
        syscalls.setns(namespace, syscalls.CLONE_NEWNET)
        try:
            return open_netlink()
        finally:
            syscalls.setns(self._own, syscalls.CLONE_NEWNET)

    @staticmethod
    def _index(netlink: Netlink, name: str) -> int:
        return netlink.link_lookup(ifname=name)[0]


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what the kernel refuses into a MachineError about ``what``."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NetlinkError as error:
        raise MachineError(f"{what}: {os.strerror(error.code)}") from error


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Pass over a link that is gone: it ends with the network namespace of its other end."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        yield
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise MachineError(f"set a link: {os.strerror(error.code)}") from error
