"""From a call's number to what answers it."""

import os
from collections.abc import Mapping

from rootrun.fakeroot.caller import Caller, userns_of
from rootrun.fakeroot.calls import ARCHITECTURES, numbers
from rootrun.fakeroot.glance import Glance
from rootrun.fakeroot.handler import Handler
from rootrun.sandbox.notify import Channel, SystemCall

# After one of these, callers may have different roots.
_CHANGES_OF_ROOT = frozenset({"chroot", "pivot_root", "unshare", "setns"})


class Dispatch:
    """Calls ``answers`` by the names of the calls.

    ``sees_roots``: all calls that may give a process another root are asked about, too.
    """

    def __init__(
        self, answers: Mapping[str, Handler], glances: Mapping[str, Glance], *, sees_roots: bool
    ) -> None:
        self._sees_roots = sees_roots
        self._answers = {
            (arch, number): (name, answers[name], glances.get(name))
            for arch in ARCHITECTURES
            for name, number in numbers(answers, arch).items()
        }
        self._userns = 0
        self._root: int | None = None

    def close(self) -> None:
        """Let go of the container's root."""
        if self._root is not None:
            os.close(self._root)
            self._root = None

    def answer(self, call: SystemCall, channel: Channel) -> int | None:
        """Answer a call (``supervisor.Answer``); what nothing answers is the kernel's."""
        if not self._userns:  # the first call is made by the step's process itself
            self._userns = userns_of(call.pid)
            if self._sees_roots:
                self._root = os.open(f"/proc/{call.pid}/root", os.O_PATH | os.O_CLOEXEC)
        found = self._answers.get((call.arch, call.number))
        if found is None:
            return None
        name, handler, glance = found
        if glance is not None and glance(call, self._root):
            return None
        if name in _CHANGES_OF_ROOT:
            self.close()
        return handler(Caller(call, channel, userns=self._userns, root=self._root), name)
