"""Networks of machines, that touch none of the host's."""

from rootrun.testing.network.network import Network
from rootrun.testing.network.seats import Seat

__all__ = ["Network", "Seat"]
