"""The process that is a network: a network namespace of its own, and a bridge in it.

Forked by the hub, in the user namespace that it shares with the machines, it has the rights to put
links into theirs. All links end with it, since its namespace does.
"""

import os
import select

from rootrun.annotation import TYPE_CHECKING
from rootrun.dataclass import dataclass
from rootrun.errors import MachineError, SandboxError, told_as
from rootrun.sandbox import syscalls
from rootrun.sandbox.packets import receive_packet, socket_of
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import send, send_error
from rootrun.testing.asking import question_of, refuse_first
from rootrun.testing.network import tasks
from rootrun.testing.network.links import Interface, Links
from rootrun.testing.network.shape import NO_SHAPE, Shape
from rootrun.testing.network.shaping import Shaper, remove_queue

if TYPE_CHECKING:
    from rootrun.testing.hub import Child


def run_switch(name: str, child: "Child") -> None:
    """Be the network ``name`` until nobody asks for it any more."""
    child.tell_log()
    syscalls.hide_command_line("rootrun-network")
    try:
        with told_as(SandboxError, "enter namespaces", "/"):
            syscalls.unshare(syscalls.CLONE_NEWNET)
        switch = Switch(name)
    except Exception as error:
        refuse_first(child.questions, error, stage=f"make network {name}")
        raise
    asker = socket_of(child.questions)
    poller = select.poll()
    for fd in (child.questions, child.life):
        poller.register(fd, select.POLLIN)
    while True:
        if any(fd == child.life for fd, _ in poller.poll()):
            return
        content, descriptors = receive_packet(asker)
        if not content:
            return
        question = question_of(content, descriptors)
        if question.task == tasks.END:
            switch.remove_ports()
            return  # our end is the answer
        try:
            switch.do(question)
            send(question.answer, "done")
        except Exception as error:
            send_error(question.answer, error, stage=f"network {name}: {question.task}")
        for fd in descriptors:
            os.close(fd)


@dataclass(slots=True, kw_only=True)
class Member:
    """What a machine's link is to be, plugged in or not."""

    port: int | None = None  # index
    is_up: bool = True
    group: int = 0  # of a partition
    shape: Shape = NO_SHAPE
    shaper: Shaper | None = None

    @property
    def uplink(self) -> int | None:
        """The index of what is at the bridge."""
        return self.shaper.uplink if self.shaper else self.port


class Switch:
    """The bridges, one for each group of a partition, and who is at which."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._links = Links()
        self._bridges = [self._links.make_bridge("bridge0")]
        self._members: dict[str, Member] = {}
        self._port_count = 0
        self._shaper_count = 0

    def do(self, question: Question) -> None:
        """Do what is asked for."""
        if question.task == tasks.PARTITION:
            groups = question.values["groups"]
            assert isinstance(groups, list)
            self._part(groups)
            return
        name = question.text("member")
        member = self._members.setdefault(name, Member())
        match question.task:
            case tasks.PLUG:
                [namespace] = question.descriptors
                self._plug(member, _interface_of(question), namespace)
            case tasks.UNPLUG:
                self._unplug(member)
            case tasks.SET_LINK:
                member.is_up = bool(question.values["is_up"])
                if member.port is not None:
                    self._links.set_up(member.port, is_up=member.is_up)
                    self._wait_for(member)
            case tasks.SHAPE:
                member.shape = _shape_of(question)
                self._shape(member)
            case tasks.LEAVE:
                self._unplug(member)
                del self._members[name]
            case task:
                raise MachineError(f"ask a network: {task!r}: unknown")

    def remove_ports(self) -> None:
        """Take the links away from all machines, before this returns."""
        for member in self._members.values():
            self._unplug(member)

    def _plug(self, member: Member, inside: Interface, namespace: int) -> None:
        self._unplug(member)  # that of before a crash
        self._port_count += 1
        name = f"port{self._port_count}"
        bridge = self._bridges[member.group]
        member.port = self._links.make_port(name, bridge, inside, namespace)
        self._links.configure(namespace, inside)
        self._shape(member)
        if not member.is_up:
            self._links.set_up(member.port, is_up=False)
        self._wait_for(member)

    def _wait_for(self, member: Member) -> None:
        """Wait until a member that is plugged in can be reached, so that no first frame is lost."""
        if member.is_up and member.uplink is not None:
            self._links.wait_until_forwarding(member.uplink)

    def _unplug(self, member: Member) -> None:
        port, member.port = member.port, None
        if port is not None:
            self._unshape(member)
            self._links.remove(port)

    def _shape(self, member: Member) -> None:
        port = member.port
        if port is None:
            return
        if self._unshape(member):
            remove_queue(self._links, port)
        bridge = self._bridges[member.group]
        if member.shape != NO_SHAPE:
            self._shaper_count += 1
            member.shaper = Shaper(self._links, self._shaper_count, port, member.shape)
            self._links.set_bridge(member.shaper.uplink, bridge)
        else:
            self._links.set_bridge(port, bridge)

    @staticmethod
    def _unshape(member: Member) -> bool:
        shaper, member.shaper = member.shaper, None
        if shaper is not None:
            shaper.close()
        return shaper is not None

    def _part(self, groups: list[list[str]]) -> None:
        """Put the machines of each group at a bridge of their own, all others at the first."""
        group_of = {name: number for number, names in enumerate(groups, 1) for name in names}
        while len(self._bridges) <= len(groups):
            self._bridges.append(self._links.make_bridge(f"bridge{len(self._bridges)}"))
        for name in group_of:
            self._members.setdefault(name, Member())
        for name, member in self._members.items():
            group = group_of.get(name, 0)
            if group != member.group and member.uplink is not None:
                self._links.set_bridge(member.uplink, self._bridges[group])
            member.group = group


def _interface_of(question: Question) -> Interface:
    return Interface(
        question.text("interface"),
        question.text("mac"),
        question.text("address"),
        question.number("prefix"),
    )


def _shape_of(question: Question) -> Shape:
    bandwidth = question.values["bandwidth"]
    return Shape(
        float(str(question.values["delay_s"])),
        float(str(question.values["loss"])),
        None if bandwidth is None else int(str(bandwidth)),
    )
