"""Machines to test software in: real root file systems, several of them, in milliseconds."""

from rootrun.errors import CommandError, LimitError, MachineError, MachineTimeoutError
from rootrun.image.edits import ConfigEdits
from rootrun.request import Bind
from rootrun.testing.changes import Change
from rootrun.testing.command import Result
from rootrun.testing.commit import CommitOptions, Committed
from rootrun.testing.machine import Machine
from rootrun.testing.network import Network
from rootrun.testing.observation import Process, Usage
from rootrun.testing.options import MachineOptions
from rootrun.testing.ports import OpenPort
from rootrun.testing.service import Service
from rootrun.testing.starting import start_all

__all__ = [
    "Bind",
    "Change",
    "CommandError",
    "CommitOptions",
    "Committed",
    "ConfigEdits",
    "LimitError",
    "Machine",
    "MachineError",
    "MachineOptions",
    "MachineTimeoutError",
    "Network",
    "OpenPort",
    "Process",
    "Result",
    "Service",
    "Usage",
    "start_all",
]
