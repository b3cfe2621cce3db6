"""The names that a test script finds, as the driver of NixOS has them."""

import os
import re
from collections.abc import Callable

from rootrun.errors import MachineTimeoutError, UsageError
from rootrun.testing.driver.driver import Driver
from rootrun.testing.machine import TIMEOUT_S, Machine
from rootrun.testing.options import MachineOptions
from rootrun.testing.waiting import wait_until


class ScriptLog:
    """``log`` of a script: lines between the steps."""

    def __init__(self, driver: Driver) -> None:
        self._steps = driver.steps
        self.nested = driver.steps.nested
        self.log = self.info = self.debug = self._steps.say

    def warning(self, text: str) -> None:
        """Say it as a warning."""
        self._steps.say(f"warning: {text}")

    def error(self, text: str) -> None:
        """Say it as an error; the test goes on."""
        self._steps.say(f"error: {text}")


class Assertions:
    """``t`` of a script: the methods of ``unittest.TestCase``."""

    def __getattr__(self, name: str) -> object:
        """Return ``name`` of a test case."""
        from unittest import TestCase

        return getattr(TestCase(), name)


def retry(condition: Callable[[bool], object], timeout: float = TIMEOUT_S) -> None:
    """Call ``condition(False)`` until it is true; at the end once more with True."""
    try:
        wait_until(
            lambda _: bool(condition(False)),
            timeout_s=timeout,
            describe=lambda: f"retry: {getattr(condition, '__name__', condition)}",
        )
    except MachineTimeoutError:
        if not condition(True):
            raise


def names_of(driver: Driver) -> dict[str, object]:
    """Return them; raises UsageError where a machine or network has one of the others' names."""

    def set_output(*, is_shown: bool) -> None:
        driver.steps.shows_output = is_shown

    names: dict[str, object] = {
        "machines": driver.machines,
        "networks": driver.networks,
        "start_all": driver.start_all,
        "join_all": driver.join_all,
        "create_machine": driver.create_machine,
        "subtest": driver.steps.subtest,
        "log": ScriptLog(driver),
        "retry": retry,
        "serial_stdout_on": lambda: set_output(is_shown=True),
        "serial_stdout_off": lambda: set_output(is_shown=False),
        "t": Assertions(),
        "Machine": Machine,
        "MachineOptions": MachineOptions,
        "os": os,
    }
    for kind, things in (("machine", driver.machines), ("network", driver.networks)):
        for thing in things:
            name = as_python(thing.name)
            if name in names:
                raise UsageError(f"{kind}: {thing.name!r}: scripts have another {name}")
            names[name] = thing
    if len(driver.machines) == 1:
        names.setdefault("machine", driver.machines[0])
    return names


def as_python(name: str) -> str:
    """Return ``name`` as a script can write it: with a _ for what Python has not in names."""
    return re.sub(r"^[^A-Za-z_]|[^A-Za-z0-9_]", "_", name)
