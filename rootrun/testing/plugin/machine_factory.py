"""The machines of one test."""

import os
from contextlib import ExitStack

from rootrun.annotation import Self
from rootrun.testing.machine import Machine
from rootrun.testing.options import MachineOptions
from rootrun.testing.plugin.settings import Settings

_NAME = "machine"


class MachineFactory:
    """What the fixture ``rootrun_machine`` is. A context manager, which closes the machines."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cleanup = ExitStack()
        self._names: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def __call__(
        self,
        image: str | os.PathLike[str],
        *,
        name: str | None = None,
        options: MachineOptions | None = None,
    ) -> Machine:
        """Start a machine, ``machine``, ``machine-2`` and so on where it has no name.

        Options that are as usual are those of pytest's command line.
        """
        name = name or self._free_name()
        self._names.add(name)
        machine = Machine(image, name=name, options=self._settings.machine_options(options))
        with self._settings.skipping():
            return self._cleanup.enter_context(machine)

    def _free_name(self) -> str:
        name, count = _NAME, 1
        while name in self._names:
            count += 1
            name = f"{_NAME}-{count}"
        return name
