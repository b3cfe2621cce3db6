"""Machines to test software in: real root file systems, several of them, in milliseconds."""

from rootrun.errors import CommandError, MachineError, MachineTimeoutError
from rootrun.request import Bind
from rootrun.testing.changes import Change
from rootrun.testing.command import Result
from rootrun.testing.commit import CommitOptions, Committed
from rootrun.testing.machine import Machine
from rootrun.testing.network import Network
from rootrun.testing.options import MachineOptions
from rootrun.testing.service import Service

__all__ = [
    "Bind",
    "Change",
    "CommandError",
    "CommitOptions",
    "Committed",
    "Machine",
    "MachineError",
    "MachineOptions",
    "MachineTimeoutError",
    "Network",
    "Result",
    "Service",
]
