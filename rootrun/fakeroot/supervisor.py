"""The emulator of a container: answers its calls, and remembers what the kernel cannot do."""

import errno
import os
from collections.abc import Callable

from rootrun.dataclass import replace
from rootrun.fakeroot.filters import FilterPlan, filter_program
from rootrun.fakeroot.level import Level
from rootrun.sandbox.notify import Channel, Listener, SystemCall

Answer = Callable[[SystemCall, Channel], int | None]
"""Returns the value of a call, None to let the kernel make it; raises the error it ends with."""


class Supervisor:
    """A ``rootrun.sandbox.spec.Emulator``. It keeps no descriptor of the caller's.

    ``start`` makes what answers the calls; it is called when the first one comes: most runs have
    none, where the id map has ids enough.
    """

    def __init__(self, plan: FilterPlan, start: Callable[[], Answer]) -> None:
        self._plan = plan
        self._start = start
        self._answer: Answer | None = None
        self.program = filter_program(plan)
        self.wants_listener = plan.level.remembers
        self.traps = plan.is_restricted and plan.level.remembers
        self.emulates_ids = plan.is_lone

    @property
    def untrapped_program(self) -> bytes:
        """The filter where nothing may be traced: what is refused stays refused."""
        return filter_program(replace(self._plan, may_trap=False))

    @property
    def fallback_program(self) -> bytes:
        """The filter where no listener is to be had; nothing where the id map has ids enough."""
        return filter_program(replace(self._plan, level=Level.FAST)) if self._plan.is_lone else b""

    def serve(self, listener: Listener) -> None:
        """Answer one call. Nothing that a hostile caller passes raises."""
        notification = listener.receive()
        if notification is None:
            return
        try:
            value = self._answered(notification, listener)
        except OSError as error:
            listener.answer(notification, error=error.errno or errno.EIO)
        except ValueError:  # no path of Python's: none that could be there
            listener.answer(notification, error=errno.EINVAL)
        else:
            if value is None:
                listener.let_through(notification)
            else:
                listener.answer(notification, value=value)

    def answer_trap(self, call: SystemCall) -> int:
        """Answer a call whose caller stands still: it would fail if it were made."""
        try:
            value = self._answered(call, _STANDING)
        except ValueError as error:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
        if value is None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return value

    def _answered(self, call: SystemCall, channel: Channel) -> int | None:
        if self._answer is None:
            self._answer = self._start()
        return self._answer(call, channel)


class _Standing:
    """The ``Channel`` of a caller that is traced, and stands still until it is answered."""

    def is_alive(self, _: SystemCall) -> bool:
        return True

    def add_descriptor(self, call: SystemCall, fd: int, *, is_close_on_exec: bool) -> int:
        raise AssertionError(f"descriptor {fd} for a traced caller: {call} {is_close_on_exec}")


_STANDING = _Standing()
