"""The emulator of a container: answers its calls, and remembers what the kernel cannot do."""

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from rootrun.fakeroot.caller import Caller, userns_of
from rootrun.fakeroot.calls import name_of
from rootrun.fakeroot.filters import FilterPlan, filter_program
from rootrun.fakeroot.handler import Handler
from rootrun.fakeroot.level import Level
from rootrun.sandbox.notify import Listener, Notification, SystemCall


class Supervisor:
    """A ``rootrun.sandbox.spec.Emulator``. It keeps no descriptor of the caller's.

    ``answers`` makes what answers each call by its name; it is called when the first one comes:
    most runs have none, where the id map has ids enough.
    """

    def __init__(self, plan: FilterPlan, answers: Callable[[], Mapping[str, Handler]]) -> None:
        self._plan = plan
        self._make_answers = answers
        self._answers: Mapping[str, Handler] | None = None
        self._userns = 0
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
        is_alive = partial(listener.is_alive, notification)
        add = partial(_added, listener, notification)
        try:
            value = self._answer(notification, is_alive, add)
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
            value = self._answer(call, lambda: True, _not_added)
        except ValueError as error:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from error
        if value is None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        return value

    def _answer(
        self, call: SystemCall, is_alive: Callable[[], bool], add: Callable[[int, bool], int]
    ) -> int | None:
        if self._answers is None:  # this one is by the step's process itself
            self._answers = self._make_answers()
            self._userns = userns_of(call.pid)
        name = name_of(call.arch, call.number)
        handler = self._answers.get(name) if name is not None else None
        if handler is None or name is None:
            return None
        return handler(Caller(call, is_alive, add, userns=self._userns), name)


def _added(listener: Listener, notification: Notification, fd: int, is_close_on_exec: bool) -> int:
    return listener.add_descriptor(notification, fd, is_close_on_exec=is_close_on_exec)


def _not_added(fd: int, _: bool) -> int:
    raise AssertionError(f"descriptor {fd} for a traced caller")
