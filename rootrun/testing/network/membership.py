"""The networks of one machine."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import UsageError
from rootrun.sandbox.serving import NETWORK_NAMESPACE
from rootrun.testing.network.addresses import overlap
from rootrun.testing.network.outgoing import is_default_route
from rootrun.testing.network.roster import MEMBERS, tell, wait_for
from rootrun.testing.network.seats import Seat
from rootrun.testing.task_names import OUTGOING
from rootrun.testing.waiting import wait_until

if TYPE_CHECKING:
    from rootrun.testing.link import MachineLink
    from rootrun.testing.network.network import Network

_ANSWERS_WITHIN_S = 60.0


class Membership:
    """What a machine has to do with its networks: its first one is eth0, and so on."""

    def __init__(self, link: "MachineLink", networks: Sequence["Network | Seat"]) -> None:
        self._link = link
        self._seats = [place if isinstance(place, Seat) else Seat(place) for place in networks]
        self._is_joined = False
        self._refuse_overlaps()
        if link.options.outgoing and link.options.host_network:
            raise UsageError(f"machine {link.name}: outgoing: it has the network of the host")
        if self._seats and link.options.host_network:
            raise UsageError(
                f"machine {link.name}: network {self._seats[0].network.name}:"
                " it has the network of the host"
            )
        self._join()

    @property
    def networks(self) -> list["Network"]:
        """The networks, in order."""
        return [seat.network for seat in self._seats]

    def prepare(self) -> None:
        """Be on all networks, whose processes then start."""
        self._join()
        with MEMBERS:
            for network in self.networks:
                network.start(self._link.connection())

    def tell_names(self) -> None:
        """Have the machine's hosts file name all members, before it boots."""
        if self._seats:
            with MEMBERS:
                told = tell([self._link])
            wait_for(told)

    def plug(self) -> None:
        """Plug the machine, which has just booted, into its networks; then they can be used."""
        if not self._seats:
            return
        deadline_s = time.monotonic() + _ANSWERS_WITHIN_S
        what = f"plug machine {self._link.name} into network"
        with ExitStack() as cleanup:
            asked = self._link.ask(NETWORK_NAMESPACE, what=what)
            [namespace] = asked.descriptors
            cleanup.callback(os.close, namespace)
            plugged = [
                (network, cleanup.enter_context(network.plug(self._link, f"eth{at}", namespace)))
                for at, network in enumerate(self.networks)
            ]
            for network, answers in plugged:
                answers.only(deadline_s, what=f"{what} {network.name}")

    def unplug(self) -> None:
        """Take the links away from the machine, which has just ended."""
        for network in self.networks:
            network.unplug(self._link)

    def connect(self) -> None:
        """Let the machine, which has just booted, make connections out of it."""
        link = self._link
        what = f"connect machine {link.name}"
        [namespace] = link.ask(NETWORK_NAMESPACE, what=what).descriptors
        try:
            link.ask(OUTGOING, what=what, descriptors=[namespace])
        finally:
            os.close(namespace)

        def is_connected(_: float) -> bool:
            link.ask(OUTGOING, what=what)
            from rootrun.testing.files import read_bytes

            routes = read_bytes(link, "/proc/net/route").decode()
            return any(map(is_default_route, routes.splitlines()))

        wait_until(is_connected, timeout_s=_ANSWERS_WITHIN_S, describe=lambda: what)

    def leave(self) -> None:
        """Be on no network any more, until the next start."""
        if not self._is_joined:
            return
        self._is_joined = False
        with MEMBERS:
            for network in self.networks:
                network.leave(self._link)
            told = tell(self._mates())
        wait_for(told)

    def set_links(self, *, up: bool) -> None:
        """Pull the plugs of all networks, or put them back."""
        for network in self.networks:
            network.set_link(self._link.name, up=up)

    def _join(self) -> None:
        if self._is_joined or not self._seats:
            return
        with MEMBERS, ExitStack() as undo:
            for network, address in self._seats:
                network.join(self._link, address)
                undo.callback(network.leave, self._link)
            undo.pop_all()
            told = tell(self._mates())
        self._is_joined = True
        wait_for(told)

    def _mates(self) -> "list[MachineLink]":
        return [link for network in self.networks for link in network.links()]

    def _refuse_overlaps(self) -> None:
        networks = self.networks
        for at, one in enumerate(networks):
            for other in networks[:at]:
                if overlap(one.subnet, other.subnet):
                    raise UsageError(
                        f"machine {self._link.name}: networks {other.name} and {one.name}:"
                        f" {other.subnet} and {one.subnet} overlap"
                    )
