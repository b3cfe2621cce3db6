"""Several machines at once."""

from collections.abc import Iterable

from rootrun.annotation import Protocol


class Startable(Protocol):
    """A machine."""

    def start(self) -> None:
        """Boot it."""


def start_all(machines: Iterable[Startable]) -> None:
    """Boot machines that are down, at the same time; raises what the first that fails does."""
    from concurrent.futures import ThreadPoolExecutor

    machines = [*machines]
    with ThreadPoolExecutor(len(machines) or 1) as pool:
        for started in [pool.submit(machine.start) for machine in machines]:
            started.result()
