"""From a call's number to what answers it."""

from collections.abc import Mapping

from rootrun.fakeroot.caller import Caller, userns_of
from rootrun.fakeroot.calls import ARCHITECTURES, numbers
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.supervisor import Add, IsAlive
from rootrun.sandbox.notify import SystemCall


class Dispatch:
    """Calls ``answers`` by the names of the calls."""

    def __init__(self, answers: Mapping[str, Handler]) -> None:
        self._answers = {
            (arch, number): (name, answers[name])
            for arch in ARCHITECTURES
            for name, number in numbers(answers, arch).items()
        }
        self._userns = 0

    def answer(self, call: SystemCall, is_alive: IsAlive, add: Add) -> int | None:
        """Answer a call (``supervisor.Answer``); what nothing answers is the kernel's."""
        if not self._userns:  # the first call is made by the step's process itself
            self._userns = userns_of(call.pid)
        found = self._answers.get((call.arch, call.number))
        if found is None:
            return None
        name, handler = found
        return handler(Caller(call, is_alive, add, userns=self._userns), name)
