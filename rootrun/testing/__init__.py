"""Machines to test software in: real root file systems, several of them, in milliseconds."""

from rootrun.errors import CommandError, MachineError, MachineTimeoutError
from rootrun.request import Bind
from rootrun.testing.command import Result
from rootrun.testing.machine import Machine
from rootrun.testing.network import Network
from rootrun.testing.options import MachineOptions

__all__ = [
    "Bind",
    "CommandError",
    "Machine",
    "MachineError",
    "MachineOptions",
    "MachineTimeoutError",
    "Network",
    "Result",
]
