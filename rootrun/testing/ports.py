"""The sockets that listen in a machine, as its kernel lists them (proc_pid_net(5))."""

import ipaddress
from collections.abc import Iterator

from rootrun.errors import SandboxError
from rootrun.namedtuple import NamedTuple
from rootrun.testing.files import read_bytes
from rootrun.testing.link import MachineLink
from rootrun.testing.observation import listeners
from rootrun.testing.report import section
from rootrun.testing.waiting import wait_until

FILES = {name: f"/proc/net/{name}" for name in ("tcp", "tcp6", "udp", "udp6")}

_LISTEN = {"tcp": "0A", "udp": "07"}
_INODE = 9  # a field


class OpenPort(NamedTuple):
    """A socket that takes connections, or datagrams."""

    protocol: str  # tcp or udp
    address: str  # 0.0.0.0 and :: for any
    port: int
    pid: int | None = None  # of a process that has it open, as the machine sees it
    process: str | None = None  # its name

    def answers_at(self, address: str) -> bool:
        """Say whether a connection to ``address`` of the machine gets here."""
        own, asked = ipaddress.ip_address(self.address), ipaddress.ip_address(address)
        # A socket at :: takes IPv4 too, unless it was told not to, which nobody can see.
        return own == asked or (own.is_unspecified and own.version >= asked.version)


def listening(kind: str, content: str) -> Iterator[tuple[OpenPort, int]]:
    """Yield what ``content``, of the file of ``kind``, says to be open, with its inode."""
    for line in content.splitlines()[1:]:
        fields = line.split()
        protocol = kind[:3]
        if fields[3] == _LISTEN[protocol]:
            address, _, port = fields[1].partition(":")
            yield OpenPort(protocol, _address(address), int(port, 16)), int(fields[_INODE])


def _address(text: str) -> str:
    # Words of 32 bits in the order of the machine's bytes.
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def open_ports(link: MachineLink) -> list[OpenPort]:
    """Return what listens in a machine, and which process does."""
    found = [*_sockets(link)]
    owners = listeners(link) if found else {}
    ports = []
    for port, inode in found:
        pid, process = owners.get(inode, (None, None))
        ports.append(port._replace(pid=pid, process=process))
    return ports


def _sockets(link: MachineLink) -> Iterator[tuple[OpenPort, int]]:
    for kind, path in FILES.items():
        try:
            content = read_bytes(link, path).decode()
        except SandboxError:
            continue  # a kernel without IPv6
        yield from listening(kind, content)


def wait_for_port(
    link: MachineLink, port: int, address: str, *, timeout_s: float, is_open: bool
) -> None:
    """Wait until something takes TCP connections to ``port`` at ``address``, or nothing does."""

    def is_done(_: float) -> bool:
        answering = any(
            one.protocol == "tcp" and one.port == port and one.answers_at(address)
            for one, _ in _sockets(link)
        )
        return answering is is_open

    state = "open" if is_open else "closed"
    wait_until(
        is_done,
        timeout_s=timeout_s,
        describe=lambda: f"{link.name}: port {port}: is not {state}",
        details=lambda: _told(open_ports(link)) + link.services_told(),
    )


def _told(found: list[OpenPort]) -> str:
    lines = [f"{one.protocol} {one.address} port {one.port} ({one.process})" for one in found]
    return section("open ports", "\n".join(lines) or "none")
