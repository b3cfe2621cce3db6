"""Services as the process knows them that keeps their machine: started, heard and outlived."""

import os
import signal
from contextlib import ExitStack

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import EXIT_SIGNAL_BASE, MachineError, RootrunError
from rootrun.namedtuple import NamedTuple
from rootrun.sandbox.packets import open_packets, send_packet, socket_of
from rootrun.sandbox.serving import EXECUTE
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import encode, send, send_error
from rootrun.testing.asking import Answers, answer_with_content, is_readable
from rootrun.testing.command import open_pipe
from rootrun.testing.service_log import ServiceLog
from rootrun.testing.task_names import SERVICE, SERVICES, START_SERVICE

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

_CHUNK_BYTES = 1 << 16
_CHUNKS_AT_ONCE = 16  # more than a pipe holds
_ALREADY = 0.0  # a deadline: what is there, and no waiting
_MOST_SHOWN = 10


def answer(keeper: "Keeper", question: Question) -> None:
    """Start a service, or tell of one, or of all; raises MachineError."""
    match question.task:
        case task if task == START_SERVICE:
            _start(keeper, question)
        case task if task == SERVICE:
            keeper.services[question.number("number")].tell(question)
        case task if task == SERVICES:
            shown = [*keeper.services.values()][-_MOST_SHOWN:]
            answer_with_content(question.answer, [service.values() for service in shown])


class _Waiter(NamedTuple):
    """Who wants to know of a service, once it has written more than that or has ended."""

    seen_bytes: int
    wants_log: bool
    answer: int


class KeptService:
    """One service; it stays when its processes have ended."""

    def __init__(self, keeper: "Keeper", number: int, *, name: str, command: str) -> None:
        self.name = name
        self._number = number
        self._keeper = keeper
        self._command = command
        self._log = ServiceLog(keeper.scratch, number)
        self._reader: int | None = None  # of the pipe that it writes to
        self._answers: Answers | None = None  # of init
        self._waiters: dict[int, _Waiter] = {}
        self._begun = self._asker = -1
        self._pid = 0
        self._error: RootrunError | None = None
        self.status: int | None = None

    def start(self, question: Question, values: dict[str, object]) -> None:
        """Ask init for it; ``question`` is answered once the program is there, or cannot be."""
        with ExitStack() as theirs, ExitStack() as ours:
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            theirs.callback(os.close, nothing)
            reader, writer = _pipe(ours, theirs)
            # Nobody holds this one any more once the program is executed, or its process gone.
            begun, begins = _pipe(ours, theirs)
            receiver, sender = open_packets()
            theirs.callback(os.close, sender)
            answers = ours.enter_context(Answers(receiver))
            given = [nothing, writer, writer, begins, sender]
            self._keeper.ask_init(EXECUTE, values, given)
            ours.pop_all()
        self._reader, self._answers, self._begun = reader, answers, begun
        self._asker = os.dup(question.answer)
        self._keeper.attend_to(begun, self._begin)
        self._keeper.attend_to(reader, self._attend)
        self._keeper.attend_to(answers.fileno(), self._attend)

    def tell(self, question: Question) -> None:
        """Answer now, or when there is more than ``seen`` bytes of log."""
        self.look()
        seen_bytes = question.number("seen")
        wants_log = bool(question.values["log"])
        waiter = _Waiter(seen_bytes, wants_log, os.dup(question.answer))
        if self._is_due(waiter):
            self._answer(waiter)
            return
        self._waiters[waiter.answer] = waiter
        self._keeper.attend_to(waiter.answer, lambda: self._lose(waiter))  # it has gone

    def values(self) -> dict[str, object]:
        """Return what a report says of it."""
        self.look()
        return {
            "name": self.name,
            "command": self._command,
            "status": self.status,
            "tail": self._log.tail(),
            "bytes": self._log.total_bytes,
        }

    def look(self) -> None:
        """Take in what was written and told so far."""
        for _ in range(_CHUNKS_AT_ONCE):
            if not self._read():
                break
        while self._answers is not None and is_readable(self._answers.fileno(), _ALREADY):
            self._hear()

    def _begin(self) -> None:
        """Answer who started it: its program runs, or there was none."""
        self._keeper.forget(self._begun)
        os.close(self._begun)
        self.look()
        if self._error is None and self._pid:
            send(self._asker, "started", self._number, self._pid, self.name)
        else:
            del self._keeper.services[self._number]
            error = self._error or MachineError(f"start {self.name}: the machine has ended")
            send_error(self._asker, error, stage="start a service")
        os.close(self._asker)

    def _attend(self) -> None:
        self.look()
        for waiter in [*self._waiters.values()]:
            if self._is_due(waiter):
                self._dismiss(waiter)
                self._answer(waiter)

    def _read(self) -> bool:
        """Read some of the pipe; return whether there may be more."""
        if self._reader is None:
            return False
        try:
            chunk = os.read(self._reader, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if chunk:
            self._log.append(chunk)
            return True
        self._keeper.forget(self._reader)
        os.close(self._reader)
        self._reader = None
        return False

    def _hear(self) -> None:
        assert self._answers is not None
        try:
            told = self._answers.next(_ALREADY, what=self.name)
        except RootrunError as error:  # its program could not be executed
            self._error = error
            return
        match told and told.message:
            case "started", (pid, *_):
                self._pid = int(pid or 0)
                return
            case "ended", (code, *_):
                number = int(code or 0)
                self.status = number if number >= 0 else EXIT_SIGNAL_BASE - number
            case _:  # init has gone, and the kernel has killed all below it
                self.status = EXIT_SIGNAL_BASE + signal.SIGKILL
        self._keeper.forget(self._answers.fileno())
        self._answers.__exit__()
        self._answers = None

    def _is_due(self, waiter: _Waiter) -> bool:
        is_over = self.status is not None and (self._reader is None or not waiter.wants_log)
        return is_over or self._log.total_bytes > waiter.seen_bytes

    def _dismiss(self, waiter: _Waiter) -> None:
        self._keeper.forget(waiter.answer)
        del self._waiters[waiter.answer]

    def _lose(self, waiter: _Waiter) -> None:
        self._dismiss(waiter)
        os.close(waiter.answer)

    def _answer(self, waiter: _Waiter) -> None:
        """Tell how it is; with descriptors of its log, which go on growing, if they are wanted."""
        sender = socket_of(waiter.answer)
        try:
            descriptors = self._log.open() if waiter.wants_log else []
        except OSError as error:  # it has too many open files, which is no reason to end
            send_error(waiter.answer, error, stage=f"read the log of {self.name}")
            sender.close()
            return
        state = self.status, self._log.total_bytes, self._log.dropped_bytes
        content = encode("service", *state, int(self._reader is None))
        try:
            send_packet(sender, content, descriptors)
        except (BrokenPipeError, ConnectionResetError):
            pass  # nobody waits any more
        finally:
            sender.close()
            for fd in descriptors:
                os.close(fd)


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[int, int]:
    reader, writer = open_pipe()
    ours.callback(os.close, reader)
    theirs.callback(os.close, writer)
    return reader, writer


def _start(keeper: "Keeper", question: Question) -> None:
    values = dict(question.values)
    number = len(keeper.services) + 1
    while number in keeper.services:
        number += 1
    name = _free_name(keeper, str(values.pop("name")), is_given=bool(values.pop("is_named")))
    service = KeptService(keeper, number, name=name, command=str(values.pop("command")))
    keeper.services[number] = service  # from now on its name is taken
    try:
        service.start(question, values)
    except BaseException:
        del keeper.services[number]
        raise


def _free_name(keeper: "Keeper", wanted: str, *, is_given: bool) -> str:
    """Return ``wanted``, or that with a number; raises MachineError for one that was asked for."""
    for one in keeper.services.values():
        if one.name == wanted:
            one.look()  # it may have ended just now
    taken = {one.name for one in keeper.services.values() if one.status is None or not is_given}
    if wanted not in taken:
        return wanted
    if is_given:
        raise MachineError(f"machine {keeper.plan.name}: service {wanted!r}: is running")
    return next(name for name in (f"{wanted}-{n}" for n in range(2, 1 << 30)) if name not in taken)
