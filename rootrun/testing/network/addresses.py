"""The addresses of a network, and who has which."""

from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from rootrun.errors import UsageError
from rootrun.sha256 import sha256_of

Subnet = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_LOCALLY_ADMINISTERED = 0x02  # and for one receiver (IEEE 802)


def parse_subnet(network: str, text: str) -> Subnet:
    """Return the subnet that ``text`` says, as 10.77.0.0/24; raises UsageError."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise UsageError(f"network {network}: subnet {text!r}: {error}") from None


def mac_of(network: str, address: str) -> str:
    """Return the hardware address that goes with ``address``, the same in each run."""
    digits = sha256_of(f"{network} {address}".encode())
    octets = [digits[at : at + 2] for at in range(0, 10, 2)]
    return ":".join([f"{_LOCALLY_ADMINISTERED:02x}", *octets])


def overlap(one: str, other: str) -> bool:
    """Say whether an address could be in both subnets."""
    return ip_network(one).overlaps(ip_network(other))


class Addresses:
    """Who has which address of a subnet."""

    def __init__(self, network: str, subnet: Subnet) -> None:
        self.subnet = subnet
        self._network = network
        self._taken: dict[Address, str] = {}

    def take(self, owner: str, wanted: str | None) -> str:
        """Give ``owner`` the address that is wanted, or the first free one; raises UsageError."""
        address = self._first_free() if wanted is None else self._wanted(wanted)
        if address in self._taken:
            raise UsageError(
                f"network {self._network}: address {address}: {self._taken[address]} has it"
            )
        self._taken[address] = owner
        return str(address)

    def give_back(self, address: str) -> None:
        """Let another one have ``address``."""
        del self._taken[ip_address(address)]

    def _first_free(self) -> Address:
        hosts: Iterator[Address] = iter(self.subnet.hosts())
        for address in hosts:
            if address not in self._taken:
                return address
        raise UsageError(
            f"network {self._network}: {self.subnet}: no address is left of {len(self._taken)}"
        )

    def _wanted(self, text: str) -> Address:
        what = f"network {self._network}: address {text!r}"
        try:
            address = ip_address(text)
        except ValueError:
            raise UsageError(f"{what}: not an IP address") from None
        subnet = self.subnet
        if address not in subnet:
            raise UsageError(f"{what}: not in {subnet}")
        if subnet.num_addresses > 2 and address in _reserved(subnet):
            raise UsageError(f"{what}: no machine's, in {subnet}")
        return address


def _reserved(subnet: Subnet) -> set[Address]:
    """Return those that mean the subnet, and all in it; the latter there is in IPv4 alone."""
    if isinstance(subnet, IPv4Network):
        return {subnet.network_address, subnet.broadcast_address}
    return {subnet.network_address}
