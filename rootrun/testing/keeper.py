"""The process that keeps one machine: its root, its container while there is one, its services.

Forked by the hub, in a mount namespace of its own, so that all its mounts end with it. It plays the
part that the main process has in a run: it supervises the container, and answers for the kernel.
"""

import os
import select
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rootrun.annotation import TYPE_CHECKING
from rootrun.attempt import Job, PreparedRoot, prepared_root
from rootrun.dataclass import replace
from rootrun.errors import MachineError, RootrunError
from rootrun.plan import LayerPlan
from rootrun.rootfs.scratch import scratch_directory
from rootrun.sandbox import serving, syscalls
from rootrun.sandbox.container import started_container
from rootrun.sandbox.limits import kept_limits
from rootrun.sandbox.mounts import mount_plan
from rootrun.sandbox.packets import open_packets, receive_packet, send_packet, socket_of
from rootrun.sandbox.running import RunningContainer
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import send, send_error
from rootrun.testing.asking import packed, question_of, refuse_first
from rootrun.testing.images import MachineGround
from rootrun.testing.limits import MachineDisk, enter_own_namespaces
from rootrun.testing.network.files import with_network_files
from rootrun.testing.plan import MachinePlan
from rootrun.testing.tasks import do_task

if TYPE_CHECKING:
    import _socket

    from rootrun.testing.hub import Child
    from rootrun.testing.layers import Fork
    from rootrun.testing.service_tasks import KeptService


_IN_CONTAINER = {
    *(serving.EXECUTE, serving.TERMINAL, serving.OPEN, serving.NETWORK_NAMESPACE),
    *(serving.KILL, serving.PAUSE, serving.RESUME, serving.USAGE),
}


def run_keeper(plan: MachinePlan, ground: MachineGround, child: "Child", fork: "Fork") -> None:
    """Keep the machine of ``plan`` until nobody asks for it any more."""
    child.tell_log()
    enter_own_namespaces(ground)
    syscalls.hide_command_line("rootrun-machine")
    request = ground.request
    with ExitStack() as cleanup:
        try:
            ground = fork.laid_on(ground)
            scratch = cleanup.enter_context(scratch_directory(request.scratch))
            request = with_network_files(ground.request, plan, scratch)
            ground = ground._replace(request=request)
            root = cleanup.enter_context(prepared_root(_job(ground), scratch=scratch))
        except BaseException as error:
            refuse_first(child.questions, error, stage=f"make machine {plan.name}")
            raise
        keeper = Keeper(plan, ground, root, scratch=scratch, cleanup=cleanup)
        cleanup.enter_context(keeper.listening(child.questions, child.life))
        keeper.run()


class Keeper:
    """One machine, as those see it that do what is asked of it."""

    def __init__(
        self,
        plan: MachinePlan,
        ground: MachineGround,
        root: PreparedRoot,
        *,
        scratch: Path,
        cleanup: ExitStack,
    ) -> None:
        self.plan = plan
        self.ground = ground
        self.root = root
        self.scratch = scratch
        self.cleanup = cleanup
        self.disk = MachineDisk(root.rootfs, ground.request.sandbox.disk_bytes, plan.name)
        self.running: RunningContainer | None = None
        self.error: RootrunError | None = None  # that ended the machine
        self._spec = replace(
            root.spec,
            serves=True,
            hostname=plan.name,
            environment={**root.spec.environment, **dict(plan.environment)},
        )
        self.services: dict[int, KeptService] = {}  # all that were started, by number
        self._epoll = select.epoll()
        self._attended: dict[int, Callable[[], None]] = {}
        self._asker: _socket.socket | None = None
        self._booting: int | None = None  # answer
        self._leaves = False  # the container: it is to end, or everything is
        self._is_over = False
        self._waiting: list[int] = []  # answers for when the container has ended

    @contextmanager
    def listening(self, questions: int, life: int) -> Iterator[None]:
        """Take questions in the block, from who asks for machines; and the end from the hub."""
        asker = socket_of(questions)
        self._asker = asker
        self.go_on()
        self.attend_to(life, self._end)
        yield
        asker.close()

    def run(self) -> None:
        """Do what is asked for, until nobody will ask any more."""
        while not self._is_over:
            if self._booting is None:
                self._attend(None)
            else:
                self._run_container(self._booting)

    def fileno(self) -> int:
        """Return what is readable while there is something to attend to."""
        return self._epoll.fileno()

    def attend(self) -> bool:
        """Attend to what is readable; return whether the container is to go on."""
        self._attend(0)
        return not self._leaves

    def attend_to(self, fd: int, function: Callable[[], None]) -> None:
        """Have ``function`` called whenever ``fd`` is readable."""
        self._attended[fd] = function
        self._epoll.register(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        """Attend to ``fd`` no more."""
        del self._attended[fd]
        self._epoll.unregister(fd)

    def hold(self) -> None:
        """Take no questions until ``go_on``."""
        assert self._asker is not None
        self.forget(self._asker.fileno())

    def go_on(self) -> None:
        """Take questions again."""
        asker = self._asker
        assert asker is not None
        self.attend_to(asker.fileno(), lambda: self._take(asker))

    def ask_init(self, task: str, values: dict[str, object], descriptors: list[int]) -> None:
        """Ask the container's init; the last of ``descriptors`` is for its answers.

        Raises ``MachineError`` if the machine is down, with the reason if it did not end well.
        """
        self.check_up()
        self._forward(packed({**values, "task": task}), descriptors)

    def check_up(self) -> RunningContainer:
        """Return the container; raises what ended it if there is none."""
        if self.running is None:
            raise self.error or MachineError(f"machine {self.plan.name}: is down")
        return self.running

    def _forward(self, content: bytes, descriptors: list[int]) -> None:
        assert self.running is not None
        init = socket_of(os.dup(self.running.requests))
        try:
            send_packet(init, content, descriptors)
        except BrokenPipeError:
            pass  # it has just ended, and nobody will answer
        finally:
            init.close()

    def _attend(self, timeout_s: float | None) -> None:
        found = [(fd, self._attended.get(fd)) for fd, _ in self._epoll.poll(timeout_s)]
        for fd, function in found:
            # One before it may have closed the descriptor, and another have opened it.
            if function is not None and self._attended.get(fd) is function:
                function()

    def _end(self) -> None:
        self._is_over = self._leaves = True

    def _take(self, asker: "_socket.socket") -> None:
        content, descriptors = receive_packet(asker)
        if not content:
            self._end()
            return
        question = question_of(content, descriptors)
        try:
            self._do(question, content, descriptors)
        except Exception as error:
            send_error(question.answer, error, stage=question.task)
        for fd in descriptors:
            os.close(fd)

    def _do(self, question: Question, content: bytes, descriptors: list[int]) -> None:
        if question.task in _IN_CONTAINER:
            self.check_up()
            self._forward(content, descriptors)
            return
        match question.task:
            case "boot" if self.running or self._booting is not None:
                raise MachineError(f"machine {self.plan.name}: is up")
            case "boot":
                self._booting = os.dup(question.answer)
            case "end told":
                self._await_end(question, ends=False)
            case "state":
                self.ask_init(serving.RESUME, {}, descriptors)
            case "shut down":
                self._shut_down(question)
            case "crash":
                self._await_end(question, ends=True)
            case "end":
                self._end()
                os.dup(question.answer)  # open as long as this process is: its end is the answer
            case task:
                do_task(task, self, question)

    def _shut_down(self, question: Question) -> None:
        nobody, unheard = open_packets()
        try:
            self.ask_init(question.task, {"grace_s": question.values["grace_s"]}, [unheard])
        finally:
            os.close(nobody)
            os.close(unheard)
        self._waiting.append(os.dup(question.answer))

    def _await_end(self, question: Question, *, ends: bool) -> None:
        """Tell how the container ended, once it has: now, if that ``ends`` it."""
        if self.running is None:
            self._tell_end(question.answer)
            return
        self._leaves = self._leaves or ends
        self._waiting.append(os.dup(question.answer))

    def _run_container(self, answer: int) -> None:
        self._booting, self._leaves, self.error = None, False, None
        try:
            with (
                self.disk.watching() as alongside,
                kept_limits(self._spec.limits, self._spec.id_map) as keeping,
                started_container(self._spec, mount_plan(self._spec), keeping) as running,
            ):
                self.running = running
                self.ask_init(serving.RESUME, {}, [answer])  # it answers once it serves
                if running.wait(None, alongside, caller=self):
                    running.outcome(f"machine {self.plan.name}", wall_s=0.0)
        except RootrunError as error:
            self.error = error
        finally:
            self.running = None
        for waiting in (answer, *self._waiting):
            self._tell_end(waiting)
            os.close(waiting)
        self._waiting.clear()

    def _tell_end(self, answer: int) -> None:
        if self.error is None:
            send(answer, "done")
        else:
            send_error(answer, self.error, stage="run")


def _job(ground: MachineGround) -> Job:
    request, _, base, config, id_map, _ = ground
    return Job(request, base, config, LayerPlan(()), id_map, None)
