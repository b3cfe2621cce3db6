"""A network of machines."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from rootrun.annotation import TYPE_CHECKING, Protocol
from rootrun.errors import MachineError, MachineGoneError, UsageError
from rootrun.namedtuple import NamedTuple
from rootrun.testing.asking import Answers, ask
from rootrun.testing.connection import Child, Connection
from rootrun.testing.names import check_host_name
from rootrun.testing.network import tasks
from rootrun.testing.network.addresses import Addresses, mac_of, parse_subnet
from rootrun.testing.network.defaults import give_back_subnet, take_subnet
from rootrun.testing.network.hosts import Host
from rootrun.testing.network.roster import MEMBERS, tell, wait_for
from rootrun.testing.network.seats import Seat
from rootrun.testing.network.shape import shape_of
from rootrun.testing.task_names import NETWORK

if TYPE_CHECKING:
    from rootrun.testing.link import MachineLink

_ANSWERS_WITHIN_S = 60.0


class Named(Protocol):
    """A machine, by its name."""

    name: str


class Member(NamedTuple):
    """A machine on the network, running or not."""

    link: "MachineLink"
    address: str


class Network:
    """A switch that machines are plugged into. A context manager, which closes it.

    A machine is on it from its making until it is closed; with each start it is plugged in. Each
    member's /etc/hosts names all members: ``NAME`` and ``NAME.NETWORK``. Without a ``subnet`` it
    gets one of 256 below 10.77.0.0/16. Where a machine is asked for, its name does as well.
    """

    def __init__(self, name: str = "network", *, subnet: str | None = None) -> None:
        self.name = check_host_name("network", name)
        given = None if subnet is None else parse_subnet(name, subnet)
        self._own_subnet = take_subnet() if given is None else None
        self._addresses = Addresses(name, given or parse_subnet(name, self._own_subnet or ""))
        self._members: dict[str, Member] = {}
        self._child: Child | None = None
        self._is_closed = False

    def __enter__(self) -> "Network":
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def subnet(self) -> str:
        """The addresses of its machines, as 10.77.0.0/24."""
        return str(self._addresses.subnet)

    def at(self, address: str) -> Seat:
        """Return a place on it with an address of one's own choice, for ``networks=``."""
        return Seat(self, address)

    def address_of(self, machine: Named | str) -> str:
        """Return the address of a machine on it."""
        return self._member(machine).address

    def set_link(self, machine: Named | str, *, up: bool) -> None:
        """Pull the plug of a machine, or put it back; the machine sees that its link is down."""
        self._ask(tasks.SET_LINK, {"member": self._member(machine).link.name, "is_up": up})

    def partition(self, *groups: Iterable[Named | str]) -> None:
        """Drop what goes from one group of machines to another, instead of earlier groups.

        Those that are in no group are one together, later ones too. No machine sees its link go.
        """
        names = [[self._member(machine).link.name for machine in group] for group in groups]
        everybody = [name for group in names for name in group]
        for name in everybody:
            if everybody.count(name) > 1:
                raise UsageError(f"network {self.name}: partition: {name!r}: in two groups")
        self._ask(tasks.PARTITION, {"groups": names})

    def heal(self) -> None:
        """End a partition."""
        self.partition()

    def shape(
        self,
        machine: Named | str,
        *,
        delay: float | None = None,
        loss: float | None = None,
        bandwidth: int | None = None,
    ) -> None:
        """Change the link of a machine, in each direction; what is left out is as usual again.

        ``delay`` is in seconds, ``loss`` the part of the frames that get lost, at random, and
        ``bandwidth`` bits per second. What is on its way meanwhile may be lost.
        """
        name = self._member(machine).link.name
        what = f"network {self.name}: shape {name!r}"
        shape = shape_of(what, delay=delay, loss=loss, bandwidth=bandwidth)
        values = dict(zip(shape._fields, shape, strict=True))
        self._ask(tasks.SHAPE, {"member": name, **values})

    def messages(self) -> str:
        """Return what rootrun logged about this network, lines of a level and a message."""
        return self._child.messages() if self._child else ""

    def close(self) -> None:
        """Take the links away from the machines, and end the network; once is enough."""
        with MEMBERS:
            if self._is_closed:
                return
            self._is_closed = True
            if self._own_subnet is not None:
                give_back_subnet(self._own_subnet)
            child, self._child = self._child, None
            told = tell(self.links())
        wait_for(told)
        if child is None:
            return
        try:
            with ask(child.questions, tasks.END) as answers:
                deadline_s = time.monotonic() + _ANSWERS_WITHIN_S
                answers.next(deadline_s, what=f"end network {self.name}")
        finally:
            child.close()

    def join(self, link: "MachineLink", address: str | None) -> None:
        """Make a machine a member; raises UsageError for what cannot be. For ``Membership``."""
        self._check_open()
        what = f"network {self.name}: machine {link.name!r}"
        if link.name in self._members:
            raise UsageError(f"{what}: there is one of this name")
        for other in self._members.values():
            if other.link.places() != link.places():
                raise UsageError(
                    f"{what}: its id map, cache or directory for temporary files"
                    f" is not that of {other.link.name!r}"
                )
        self._members[link.name] = Member(link, self._addresses.take(link.name, address))

    def leave(self, link: "MachineLink") -> None:
        """Have a machine, which has ended, on it no more. For ``Membership``."""
        member = self._members.pop(link.name)
        self._addresses.give_back(member.address)
        if self._child is not None:
            with suppress(MachineGoneError):  # what ended it was told to who wanted a link
                self._ask(tasks.LEAVE, {"member": link.name})

    def start(self, connection: Connection) -> None:
        """Have a process for it, if there is none. For ``Membership``."""
        self._check_open()
        if self._child is None:
            deadline_s = time.monotonic() + _ANSWERS_WITHIN_S
            what = f"start network {self.name}"
            values = {"name": self.name}
            self._child = connection.start_child(NETWORK, values, deadline_s=deadline_s, what=what)

    def plug(self, link: "MachineLink", interface: str, namespace: int) -> Answers:
        """Ask for a link to a machine, whose network namespace it is. For ``Membership``."""
        self._check_open()
        assert self._child is not None
        address = self._members[link.name].address
        values = {
            "member": link.name,
            "interface": interface,
            "mac": mac_of(self.name, address),
            "address": address,
            "prefix": self._addresses.subnet.prefixlen,
        }
        return ask(self._child.questions, tasks.PLUG, values, descriptors=[namespace])

    def unplug(self, link: "MachineLink") -> None:
        """Take the link of a machine away, whose kernel would answer a moment longer."""
        if self._child is not None:
            self._ask(tasks.UNPLUG, {"member": link.name})

    def hosts(self) -> list[Host]:
        """Return the names of all members."""
        if self._is_closed:
            return []
        return [
            Host(member.address, (name, f"{name}.{self.name}"))
            for name, member in self._members.items()
        ]

    def links(self) -> Sequence["MachineLink"]:
        """Return the ways to all members."""
        return [member.link for member in self._members.values()]

    def _check_open(self) -> None:
        if self._is_closed:
            raise MachineError(f"network {self.name}: was closed")

    def _member(self, machine: Named | str) -> Member:
        name = machine if isinstance(machine, str) else machine.name
        if name not in self._members:
            raise UsageError(f"network {self.name}: machine {name!r}: not on it")
        return self._members[name]

    def _ask(self, task: str, values: Mapping[str, object]) -> None:
        self._check_open()
        if self._child is None:
            if not self._members:
                return  # there is nobody to part
            with MEMBERS:
                self.start(self.links()[0].connection())
        assert self._child is not None
        with ask(self._child.questions, task, values) as answers:
            deadline_s = time.monotonic() + _ANSWERS_WITHIN_S
            answers.only(deadline_s, what=f"network {self.name}: {task}")
