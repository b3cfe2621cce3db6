"""What takes its time in a keeper: a child does it, and where needed the machine stands still.

The keeper must go on meanwhile: it answers calls of the machine's processes, which could not stop
otherwise. While they are to stand still it takes no questions: a command would start a process.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import MachineError, SandboxError, told_as
from rootrun.sandbox import syscalls
from rootrun.sandbox.child import run_in_child
from rootrun.sandbox.packets import open_packets, receive_packet, socket_of
from rootrun.sandbox.serving import PAUSE, RESUME
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import decode, error_from, send_error

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

Release = Callable[[], None]
Do = Callable[[Question, Release], None]


class Work:
    """``do`` in a child: it answers the question, and may let the machine go on before its end."""

    def __init__(self, keeper: "Keeper", question: Question, do: Do) -> None:
        self._keeper = keeper
        self._do = do
        self._descriptors = ExitStack()  # until the child has them
        self._question = question._replace(
            descriptors=[self._kept(fd) for fd in question.descriptors],
            answer=self._kept(question.answer),
        )
        self._child = ExitStack()
        keeper.cleanup.enter_context(self._child)

    def begin(self) -> None:
        """Do it beside what runs."""
        self._start([])

    def begin_at_rest(self) -> None:
        """Stop all processes, and then do it."""
        keeper = self._keeper
        if keeper.running is None:
            self._start([])
            return
        receiver, sender = open_packets()
        try:
            keeper.ask_init(PAUSE, {}, [sender])
        except BaseException:
            os.close(receiver)
            self._descriptors.close()
            raise
        finally:
            os.close(sender)
        keeper.hold()
        keeper.attend_to(receiver, lambda: self._at_rest(receiver))

    def _kept(self, fd: int) -> int:
        kept = os.dup(fd)
        self._descriptors.callback(os.close, kept)
        return kept

    def _at_rest(self, receiver: int) -> None:
        """Go on once init has answered, or has ended: then nothing runs either."""
        self._keeper.forget(receiver)
        answers = socket_of(receiver)
        content, _ = receive_packet(answers)
        answers.close()
        message = decode(content) if content else None
        if message and message.kind == "error":
            self._fail(error_from(message))
            return
        still, going = os.pipe()
        self._start([going])
        self._keeper.attend_to(still, lambda: self._go_on(still))

    def _fail(self, error: Exception) -> None:
        with self._descriptors:
            send_error(self._question.answer, error, stage=self._question.task)
        self._resume()

    def _start(self, going: list[int]) -> None:
        question, do = self._question, self._do

        def release() -> None:
            while going:
                os.close(going.pop())

        def run() -> None:
            try:
                # What is mounted to look at the change goes with this process.
                with told_as(SandboxError, "enter namespaces", "/"):
                    syscalls.unshare(syscalls.CLONE_NEWNS)
                do(question, release)
            except Exception as error:
                send_error(question.answer, error, stage=question.task)

        with self._descriptors:
            try:
                task = self._child.enter_context(run_in_child(run, name=question.task))
            except Exception as error:
                send_error(question.answer, error, stage=question.task)
                return
            finally:
                release()
        self._keeper.attend_to(task.fileno(), lambda: self._ended(task.fileno()))

    def _go_on(self, still: int) -> None:
        self._keeper.forget(still)
        os.close(still)
        self._resume()

    def _resume(self) -> None:
        nobody, unheard = open_packets()
        try:
            with suppress(MachineError):  # it has ended meanwhile
                self._keeper.ask_init(RESUME, {}, [unheard])
        finally:
            os.close(nobody)
            os.close(unheard)
        self._keeper.go_on()

    def _ended(self, fd: int) -> None:
        self._keeper.forget(fd)
        self._child.close()
