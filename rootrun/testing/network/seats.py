"""Places on networks."""

from rootrun.annotation import TYPE_CHECKING
from rootrun.namedtuple import NamedTuple

if TYPE_CHECKING:
    from rootrun.testing.network.network import Network


class Seat(NamedTuple):
    """A place on a network, with an address; None: the first that is free."""

    network: "Network"
    address: str | None = None
