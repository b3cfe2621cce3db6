"""The machines and networks of one test."""

import os
from collections.abc import Sequence
from contextlib import ExitStack

from rootrun.annotation import Self
from rootrun.testing.machine import Machine
from rootrun.testing.network import Network, Seat
from rootrun.testing.options import MachineOptions
from rootrun.testing.plugin.settings import Settings


class _Names:
    """Names for what has none: ``machine``, ``machine-2`` and so on."""

    def __init__(self, first: str) -> None:
        self._first = first
        self._taken: set[str] = set()

    def take(self, wanted: str | None) -> str:
        """Return ``wanted``, or a name that was not taken yet."""
        name, count = wanted or self._first, 1
        while name in self._taken and wanted is None:
            count += 1
            name = f"{self._first}-{count}"
        self._taken.add(name)
        return name


class MachineFactory:
    """What the fixture ``rootrun_machine`` is. A context manager, which closes the machines."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cleanup = ExitStack()
        self._names = _Names("machine")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def __call__(
        self,
        image: str | os.PathLike[str],
        *,
        name: str | None = None,
        networks: Sequence[Network | Seat] = (),
        options: MachineOptions | None = None,
    ) -> Machine:
        """Start a machine, ``machine``, ``machine-2`` and so on where it has no name.

        Options that are as usual are those of pytest's command line.
        """
        options = self._settings.machine_options(options)
        name = self._names.take(name)
        machine = Machine(image, name=name, networks=networks, options=options)
        with self._settings.skipping():
            return self._cleanup.enter_context(machine)


class NetworkFactory:
    """What the fixture ``rootrun_network`` is. A context manager, which closes the networks."""

    def __init__(self) -> None:
        self._cleanup = ExitStack()
        self._names = _Names("network")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def __call__(self, name: str | None = None, *, subnet: str | None = None) -> Network:
        """Make a network, ``network``, ``network-2`` and so on where it has no name."""
        return self._cleanup.enter_context(Network(self._names.take(name), subnet=subnet))
