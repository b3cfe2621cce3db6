"""The hub: root of the user namespace that the machines of one test process share.

A program of its own (``python -m rootrun.testing.hub``), since who tests may have threads, and must
not become another user. It opens images once, and forks a process for each machine and network: so
they start with all that is to be imported and unpacked. It ends with the test process, whatever
ends that, and then everything below it does.
"""

import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from types import FrameType

from rootrun import log
from rootrun.errors import Interrupted, MachineError, RootrunError
from rootrun.namedtuple import NamedTuple
from rootrun.rootfs.scratch import scratch_directory, sweep_dead
from rootrun.sandbox.forking import fork_child, signals_blocked
from rootrun.sandbox.idmap import IdMap, IdMapKind
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.packets import receive_packet, socket_of
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.userns import enter_namespaces
from rootrun.sandbox.wire import send, send_error
from rootrun.testing.asking import question_of
from rootrun.testing.images import Images, MachineGround
from rootrun.testing.keeper import run_keeper
from rootrun.testing.layers import Fork, LayerUsers
from rootrun.testing.network.switch import run_switch
from rootrun.testing.plan import MachinePlan, Places, plan_from, request_of
from rootrun.testing.task_names import MACHINE, NETWORK

_LINES_KEPT = 100


class Child(NamedTuple):
    """What a process of the hub starts with. It has descriptors of its own for all three."""

    questions: int  # a socket
    life: int  # readable once the hub is about to end
    told: int  # a pipe for what is logged
    earlier: Sequence[str] = ()  # lines that were logged before

    def tell_log(self) -> None:
        """Have ``told`` get what this process logs, after what was logged before."""
        for line in self.earlier:
            self._tell(line)
        log.listen(
            lambda level, text: self._tell(f"{level.name.lower()}: {text}"), least=log.Level.INFO
        )

    def _tell(self, line: str) -> None:
        with suppress(BlockingIOError, BrokenPipeError):  # nobody reads it
            os.write(self.told, f"{line}\n".encode(errors="backslashreplace"))


class _Machine(NamedTuple):
    """What a machine stands on, for those that are forked from it."""

    ground: MachineGround
    layers: tuple[str, ...]


class Hub:
    """Forks what is asked for, and reaps it."""

    def __init__(self, questions: int, client_pid: int, *, id_map: IdMap, images: Images) -> None:
        self._questions = socket_of(questions)
        self._client = os.pidfd_open(client_pid)
        self._id_map = id_map
        self._images = images
        self._life, self._alive = os.pipe()
        self._children: dict[int, int] = {}  # pids, by pidfd
        self._machines: dict[int, _Machine] = {}  # by the pid of the keeper
        self._layers = LayerUsers(images.scratch)

    def serve(self) -> None:
        """Answer until the test process has gone, or wants no more."""
        poller = select.poll()
        for fd in (self._questions.fileno(), self._client):
            poller.register(fd, select.POLLIN)
        try:
            while True:
                for fd, _ in poller.poll():
                    if fd in self._children:
                        poller.unregister(fd)
                        self._reap(fd)
                    elif fd == self._client or not self._take(poller):
                        return
        finally:
            with signals_blocked():
                self._end_children()

    def _take(self, poller: "select.poll") -> bool:
        content, descriptors = receive_packet(self._questions)
        if not content:
            return False
        question = question_of(content, descriptors)
        try:
            poller.register(self._start(question), select.POLLIN)
        except Exception as error:
            send_error(question.answer, error, stage=f"start a {question.task}")
        for fd in descriptors:
            os.close(fd)
        return True

    def _start(self, question: Question) -> int:
        """Fork the process that is asked for, and return its pidfd."""
        function, machine = self._function(question)

        def run() -> None:
            self._leave_hub(question)
            try:
                function()
            except Exception:
                import traceback

                for line in traceback.format_exc().splitlines():
                    log.warning("%s", line)
                raise

        with signals_blocked():
            pid = fork_child(run)
            pidfd = os.pidfd_open(pid)
            self._children[pidfd] = pid
        if machine is not None:
            self._machines[pid] = machine
            self._layers.use(machine.layers)
        send(question.answer, "started", pid)
        return pidfd

    def _function(self, question: Question) -> "tuple[Callable[[], None], _Machine | None]":
        questions, told, *saved = question.descriptors
        child = Child(questions, self._life, told, _EARLIER.lines)
        if question.task == MACHINE:
            plan = _plan_of(question)
            ground = self._ground(plan, question)
            fork = Fork(self._layers.place, plan.layers, saved[0] if saved else None)
            machine = _Machine(ground, plan.layers)
            return lambda: run_keeper(plan, ground, child, fork), machine
        if question.task == NETWORK:
            name = question.text("name")
            return (lambda: run_switch(name, child)), None
        raise MachineError(f"ask the hub: {question.task!r}: unknown")

    def _ground(self, plan: MachinePlan, question: Question) -> MachineGround:
        """Return what the machine stands on: a fork, on the very image of the one it is from."""
        request = request_of(plan, self._images.places)
        if not plan.layers:
            return self._images.ground(request, self._id_map)
        pid = question.values.get("parent")  # a fork that was closed cannot start again
        parent = self._machines.get(pid) if isinstance(pid, int) else None
        if parent is None:
            raise MachineError(f"machine {plan.name}: the one that it was forked from has ended")
        return parent.ground._replace(request=request)

    def _leave_hub(self, question: Question) -> None:
        """Close in a child what only the hub may hold open."""
        self._questions.close()
        for fd in (self._alive, self._client, question.answer, *self._children):
            os.close(fd)

    def _reap(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        os.waitpid(pid, 0)
        os.close(pidfd)
        ended = self._machines.pop(pid, None)
        if ended:
            self._layers.leave(ended.layers)

    def _end_children(self) -> None:
        """Have all of them clean up, and wait for that."""
        os.close(self._alive)
        for pidfd in [*self._children]:
            self._reap(pidfd)


class _Earlier:
    """What was logged before a machine was made: it may be about its image, or all machines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def listen(self) -> None:
        """Keep what is logged from now on."""
        log.listen(self._keep, least=log.Level.INFO)

    def _keep(self, level: log.Level, text: str) -> None:
        self.lines = [*self.lines[1 - _LINES_KEPT :], f"{level.name.lower()}: {text}"]


_EARLIER = _Earlier()


def _plan_of(question: Question) -> MachinePlan:
    values = question.values["plan"]
    assert isinstance(values, dict)
    return plan_from(values)


def _load_for(id_map: IdMap) -> None:
    """Import what each machine would for itself, when its first call is to be answered."""
    if id_map.kind is IdMapKind.SINGLE:
        import rootrun.compose.answering  # noqa: F401 # for the processes that are forked


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interrupted(number)


def _open(questions: int) -> tuple[Places, int]:
    """Return what the first question says, and the descriptor for its answer."""
    first = socket_of(os.dup(questions))
    try:
        content, descriptors = receive_packet(first)
    finally:
        first.close()
    if not content:
        raise MachineError("start machines: nobody asks")
    question = question_of(content, descriptors)
    values = question.values
    cache, scratch = values.get("cache_directory"), values.get("scratch_parent")
    places = Places(
        str(cache) if cache else None, str(scratch) if scratch else None, question.text("id_map")
    )
    return places, question.answer


def main() -> None:
    """Run the hub; arguments: a socket for questions, and the pid of who asks."""
    questions, client_pid = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(questions, False)
    _EARLIER.listen()
    places, answer = _open(questions)
    is_ready = False
    try:
        with suppress(Interrupted), ExitStack() as cleanup:
            signal.signal(signal.SIGTERM, _interrupt)
            scratch = cleanup.enter_context(scratch_directory(places.scratch))
            id_map = enter_namespaces(choose_id_map(places.id_map))
            log.info("id map: %s", id_map.reason)
            sweep_dead(scratch)
            images = Images(places, id_map, scratch=scratch, cleanup=cleanup)
            hub = Hub(questions, client_pid, id_map=id_map, images=images)
            send(answer, "ready", id_map.key)
            os.close(answer)
            is_ready = True
            _load_for(id_map)
            hub.serve()
    except Exception as error:
        if is_ready:
            raise
        send_error(answer, error, stage="start machines")
        if not isinstance(error, RootrunError):
            raise  # a traceback says more of it


if __name__ == "__main__":
    main()
