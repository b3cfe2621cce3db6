"""What the parts of a machine have in common: its plan, and the process that keeps it."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from rootrun.errors import MachineError, MachineGoneError, MachineTimeoutError, RootrunError
from rootrun.sandbox.serving import KILL, NETWORK_NAMESPACE, OPEN, USAGE
from rootrun.testing.asking import Answer, Answers, ask
from rootrun.testing.command import Command, Result, run_command
from rootrun.testing.connection import Child, Connection, connection_to_hub, places_of
from rootrun.testing.ending import explained
from rootrun.testing.journal import open_journal
from rootrun.testing.network.membership import Membership
from rootrun.testing.network.network import Network
from rootrun.testing.network.seats import Seat
from rootrun.testing.options import MachineOptions
from rootrun.testing.plan import MachinePlan, Places, values_of
from rootrun.testing.report import ALL_SESSIONS, services_told, stacks_told
from rootrun.testing.task_names import (
    BOOT,
    END,
    MACHINE,
    PROCESSES,
    SERVICE,
    SOCKETS,
    START_SERVICE,
    STATE,
    USED,
)

ANSWERS_WITHIN_S = 60.0

# A part of what is noted, or no change.
_UNNOTED = {
    *(BOOT, KILL, NETWORK_NAMESPACE, STATE, SERVICE, START_SERVICE),
    *(PROCESSES, SOCKETS, USED, USAGE),
}


class MachineLink:
    """The way to a machine's keeper, once there is one."""

    def __init__(
        self,
        plan: MachinePlan,
        options: MachineOptions,
        networks: Sequence[Network | Seat] = (),
    ) -> None:
        self.plan = plan
        self.options = options
        self.journal = open_journal(self)
        self._child: Child | None = None
        self.membership = Membership(self, networks)

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.plan.name

    @property
    def has_child(self) -> bool:
        """Whether it was started, and not closed since."""
        return self._child is not None

    @property
    def child(self) -> Child:
        """The keeper; raises MachineError if there is none."""
        if self._child is None:
            raise MachineError(f"machine {self.name}: was not started")
        return self._child

    def connection(self) -> Connection:
        """Return the hub for this machine."""
        return connection_to_hub(self.places())

    def places(self) -> Places:
        """Return what machines of one hub have in common."""
        options = self.options
        return places_of(
            cache=options.cache_dir,
            no_cache=options.no_cache,
            tmpdir=options.tmpdir,
            id_map=options.idmap,
        )

    def start(self, *, deadline_s: float) -> None:
        """Make the keeper, if there is none, and have it boot the machine."""
        what = f"start machine {self.name}"
        with self.journal.noting("start"):
            is_new = self._child is None
            self.membership.prepare()
            if self._child is None:
                self.make({}, deadline_s=deadline_s)
            try:
                self.membership.tell_names()
                self.ask(BOOT, deadline_s=deadline_s, what=what)
                self.membership.plug()
                if self.plan.has_outgoing:
                    self.membership.connect()
            except BaseException as error:
                if is_new or isinstance(error, MachineGoneError):  # its files too: not silently
                    self.close()
                raise

    def make(
        self, values: Mapping[str, object], *, deadline_s: float, descriptors: Sequence[int] = ()
    ) -> None:
        """Have the hub start a keeper; ``values`` and ``descriptors`` go beside the plan."""
        self._child = self.connection().start_child(
            MACHINE,
            {**values, "plan": values_of(self.plan)},
            deadline_s=deadline_s,
            what=f"start machine {self.name}",
            descriptors=descriptors,
        )

    def is_up(self) -> bool:
        """Say whether commands can run."""
        if self._child is None:
            return False
        try:
            self.ask(STATE, what=f"look at machine {self.name}")
        except MachineTimeoutError:
            raise
        except RootrunError:  # the reason why it is down
            return False
        return True

    def close(self) -> None:
        """End the machine, and wait until nothing of it is left."""
        try:
            self._end()
        finally:
            self.membership.leave()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        if not child.is_ours:
            child.close()
            return
        try:
            with self.journal.noting("close"), ask(child.questions, END) as answers:
                deadline_s = time.monotonic() + ANSWERS_WITHIN_S
                answers.next(deadline_s, what=f"end machine {self.name}")
        finally:
            self.journal.messages = child.messages()
            child.close()

    def ask(
        self,
        task: str,
        values: Mapping[str, object] | None = None,
        *,
        what: str,
        deadline_s: float | None = None,
        descriptors: Sequence[int] = (),
    ) -> Answer:
        """Return the only answer; raises what it says that went wrong.

        Without a deadline (monotonic) it has a minute.
        """
        if deadline_s is None:
            deadline_s = time.monotonic() + ANSWERS_WITHIN_S
        told = what.removeprefix(f"{self.name}: ")
        noted = nullcontext() if task in _UNNOTED else self.journal.noting(told)
        with (
            noted,
            explained(self.child),
            self.answers(task, values, descriptors=descriptors) as answers,
        ):
            return answers.only(deadline_s, what=what)

    def answers(
        self,
        task: str,
        values: Mapping[str, object] | None = None,
        *,
        descriptors: Sequence[int] = (),
    ) -> Answers:
        """Ask something that has several answers."""
        return ask(self.child.questions, task, values, descriptors=descriptors)

    def run(self, command: Command, *, timeout_s: float | None, what: str) -> Result:
        """Run ``command``; see ``run_command``."""
        with self.journal.noting(what.removeprefix(f"{self.name}: ")) as event:
            with explained(self.child) as questions:
                result = run_command(questions, command, timeout_s=timeout_s, what=what)
            event.outcome = f"status {result.status}"
            event.keep_output(result.stdout, result.stderr)
        return result

    def services_told(self) -> str:
        """Return how the services are, for an error: lines, or nothing where there are none."""
        return services_told(self._child.questions) if self._child else ""

    def stacks_told(self) -> str:
        """Return where all processes stand, likewise."""
        return stacks_told(self._child.questions, ALL_SESSIONS) if self._child else ""

    def open(self, path: str, flags: int, mode: int = 0) -> int:
        """Open a file or directory as root of the machine sees it; return a descriptor of ours."""
        values = {"path": path, "flags": flags, "mode": mode}
        what = f"{self.name}: {path}"
        deadline_s = time.monotonic() + ANSWERS_WITHIN_S
        # What the kernel tells is asked for again and again, and a copy tells of itself.
        is_noted = not path.startswith("/proc/") and not flags & os.O_DIRECTORY
        verb = "read" if flags & os.O_ACCMODE == os.O_RDONLY else "write"
        noted = self.journal.noting(f"{verb} {path}") if is_noted else nullcontext()
        with noted, explained(self.child), self.answers(OPEN, values) as answers:
            while True:
                answer = answers.only(deadline_s, what=what)
                if answer.descriptors:
                    return answer.descriptors[0]
