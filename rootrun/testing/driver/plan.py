"""What a test script finds, as values."""

from rootrun.namedtuple import NamedTuple
from rootrun.testing.options import MachineOptions


class NetworkSetup(NamedTuple):
    """A network, by a name of the script."""

    name: str
    subnet: str | None = None  # None: one that is free


class MachineSetup(NamedTuple):
    """A machine, by a name of the script."""

    name: str
    image: str
    options: MachineOptions
    networks: tuple[str, ...] | None = None  # None: all there are


class TestPlan(NamedTuple):
    """Everything that is there before the first line of a script."""

    machines: tuple[MachineSetup, ...]
    networks: tuple[NetworkSetup, ...]
    options: MachineOptions  # of those that the script makes
    keeps_going: bool = False  # after a subtest has failed
