"""Which addresses there are, and who gets them."""

import pytest

from rootrun.errors import UsageError
from rootrun.testing.network.addresses import Addresses, mac_of, overlap, parse_subnet


def _addresses(subnet: str) -> Addresses:
    return Addresses("lan", parse_subnet("lan", subnet))


def test_first_free_address_is_given() -> None:
    addresses = _addresses("10.77.0.0/29")
    given = [addresses.take("a", None), addresses.take("b", "10.77.0.2"), addresses.take("c", None)]
    assert given == ["10.77.0.1", "10.77.0.2", "10.77.0.3"]
    addresses.give_back("10.77.0.1")
    assert addresses.take("d", None) == "10.77.0.1"


def test_addresses_of_ipv6_are_given() -> None:
    addresses = _addresses("fd77::/64")
    assert [addresses.take(name, None) for name in "ab"] == ["fd77::1", "fd77::2"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("10.77.0.1", "network lan: address 10.77.0.1: a has it"),
        ("10.78.0.1", "network lan: address '10.78.0.1': not in 10.77.0.0/30"),
        ("10.77.0.3", "network lan: address '10.77.0.3': no machine's, in 10.77.0.0/30"),
        ("10.77.0.0", "network lan: address '10.77.0.0': no machine's, in 10.77.0.0/30"),
        ("fd77::1", "network lan: address 'fd77::1': not in 10.77.0.0/30"),
        ("10.77.1", "network lan: address '10.77.1': not an IP address"),
    ],
)
def test_address_that_cannot_be_is_named(wanted: str, message: str) -> None:
    addresses = _addresses("10.77.0.0/30")
    addresses.take("a", None)
    with pytest.raises(UsageError) as caught:
        addresses.take("b", wanted)
    assert str(caught.value) == message


def test_full_subnet_is_an_error_with_its_size() -> None:
    addresses = _addresses("10.77.0.0/30")
    for name in "ab":
        addresses.take(name, None)
    with pytest.raises(UsageError, match=r"network lan: 10\.77\.0\.0/30: no address is left of 2"):
        addresses.take("c", None)


@pytest.mark.parametrize("subnet", ["10.77.0.1/24", "10.0.0.0/33", "lan"])
def test_what_is_no_subnet_is_named(subnet: str) -> None:
    with pytest.raises(UsageError, match=f"network lan: subnet '{subnet}'"):
        parse_subnet("lan", subnet)


def test_hardware_addresses_differ_by_network_and_address_alone() -> None:
    macs = [mac_of("lan", "10.0.0.1"), mac_of("lan", "10.0.0.2"), mac_of("wan", "10.0.0.1")]
    assert len(set(macs)) == 3
    assert mac_of("lan", "10.0.0.1") == macs[0]
    assert all(mac.startswith("02:") and len(mac) == 17 for mac in macs)


def test_subnets_overlap_where_an_address_is_in_both() -> None:
    assert overlap("10.0.0.0/8", "10.77.0.0/24")
    assert not overlap("10.0.0.0/8", "11.0.0.0/8")
    assert not overlap("10.0.0.0/8", "fd77::/64")
