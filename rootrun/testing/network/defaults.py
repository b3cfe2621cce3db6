"""Subnets for networks that are given none."""

from rootrun.errors import UsageError

_COUNT = 256
_taken: set[str] = set()


def take_subnet() -> str:
    """Return one that no network of this process has."""
    for number in range(_COUNT):
        subnet = f"10.77.{number}.0/24"
        if subnet not in _taken:
            _taken.add(subnet)
            return subnet
    raise UsageError(f"network: all {_COUNT} subnets are taken: name one, or close networks")


def give_back_subnet(subnet: str) -> None:
    """Let another network have it."""
    _taken.discard(subnet)
