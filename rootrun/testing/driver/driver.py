"""The machines and networks of one test script, from its start to its end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress

from rootrun.dataclass import replace
from rootrun.errors import (
    HelperError,
    ImageError,
    LayerError,
    LimitError,
    MachineError,
    NamespaceError,
    OutputError,
    RootrunError,
    StoreError,
    UsageError,
)
from rootrun.namedtuple import NamedTuple
from rootrun.testing.connection import close_connections
from rootrun.testing.driver.observed import ObservedMachine
from rootrun.testing.driver.plan import MachineSetup, TestPlan
from rootrun.testing.driver.steps import Steps
from rootrun.testing.journal import journals
from rootrun.testing.machine import TIMEOUT_S, Machine
from rootrun.testing.network.network import Network
from rootrun.testing.options import MachineOptions
from rootrun.testing.waiting import wait_until

# No test can fail in these ways: they are rootrun's, or of who calls it.
_OURS = (
    *(HelperError, ImageError, LayerError, NamespaceError, OutputError, StoreError, UsageError),
)


class MachineState(NamedTuple):
    """What is to be told of a machine when a test has failed."""

    name: str
    work: str  # services and the ends of their logs, and the stacks that were gathered, in lines
    messages: str  # of rootrun: lines of a level and a message


class Driver:
    """What a script has. A context manager: at its end nothing is left of them.

    Machines start when they are first used, or by ``start_all``.
    """

    def __init__(self, plan: TestPlan, tell: Callable[[str], None]) -> None:
        self.plan = plan
        self.steps = Steps(tell, keeps_going=plan.keeps_going)
        self.machines: list[Machine] = []
        self.networks: list[Network] = [
            Network(network.name, subnet=network.subnet) for network in plan.networks
        ]
        self._started_s = time.monotonic()
        self._boots: list[BaseException] = []
        self._stacks: dict[str, str] = {}
        self._cleanup = ExitStack()

    def __enter__(self) -> "Driver":
        with ExitStack() as cleanup:
            cleanup.callback(close_connections)
            for setup in self.plan.machines:
                self._make(setup)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # The hub ends what is below it at once; one after the other would take longer.
        self._cleanup.close()
        for network in self.networks:
            network.close()

    @property
    def names(self) -> Sequence[str]:
        """The names of the machines."""
        return [machine.name for machine in self.machines]

    def start_all(self) -> None:
        """Start the machines that are not up."""
        for machine in self.machines:
            machine.start()

    def join_all(self, timeout: float = TIMEOUT_S) -> None:
        """Wait until all machines are down."""

        def are_down(_: float) -> bool:
            return not any(machine.is_up() for machine in self.machines)

        wait_until(are_down, timeout_s=timeout, describe=lambda: "join_all: machines are up")

    def create_machine(
        self,
        image: str,
        *,
        name: str = "machine",
        options: MachineOptions | None = None,
        networks: Sequence[str] | None = None,
    ) -> Machine:
        """Return one more machine, on the networks of these names, or on all.

        Its id map, cache and directory for temporary files are those of the test.
        """
        on = None if networks is None else tuple(networks)
        usual = self.plan.options
        its = replace(
            options or usual,
            idmap=usual.idmap,
            cache_dir=usual.cache_dir,
            no_cache=usual.no_cache,
            tmpdir=usual.tmpdir,
        )
        return self._make(MachineSetup(name, image, its, on))

    def is_ours(self, error: BaseException) -> bool:
        """Say whether ``error`` is no failure of what is tested: a machine could not start, say."""
        if isinstance(error, _OURS):
            return True
        return any(error is one for one in self._boots) and not isinstance(error, LimitError)

    def gather_stacks(self) -> None:
        """Keep where the processes of all machines stand, for ``states``; no error comes of it."""
        for journal in journals(since_s=self._started_s):
            link = journal.link()
            if link is not None:
                with suppress(RootrunError):
                    self._stacks[link.name] = link.stacks_told()

    def states(self) -> Iterator[MachineState]:
        """Yield how the machines are, those too that the script made in other ways."""
        for journal in journals(since_s=self._started_s):
            link = journal.link()
            messages, services = journal.messages, ""
            if link is not None:
                with suppress(MachineError):  # it is closed
                    messages, services = link.child.messages(), link.services_told()
            stacks = self._stacks.get(journal.name, "")
            yield MachineState(journal.name, (services + stacks).strip("\n"), messages)

    def _make(self, setup: MachineSetup) -> Machine:
        if setup.name in self.names:
            raise UsageError(f"machine: {setup.name!r}: there is one of this name")
        on = [n for n in self.networks if setup.networks is None or n.name in setup.networks]
        machine = Machine(setup.image, name=setup.name, options=setup.options, networks=on)
        self._adopt(machine)
        return machine

    def _adopt(self, machine: Machine) -> None:
        ObservedMachine(machine, self.steps, boots=self._boots, adopt=self._adopt)
        self.machines.append(machine)
