"""Run one container as the request on stdin says, and print what became of it, both as JSON."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import EXDEV
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, signal
from struct import pack

from rootrun import log
from rootrun.errors import Interrupted, RootrunError
from rootrun.fakeroot.calls import NUMBERS, numbers
from rootrun.fakeroot.filters import FilterPlan, filter_program
from rootrun.fakeroot.level import Level
from rootrun.sandbox.child import run_in_child
from rootrun.sandbox.container import run_container
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.notify import Listener, Notification, SystemCall
from rootrun.sandbox.overlay import mount_overlay, unmount
from rootrun.sandbox.process_memory import read_path
from rootrun.sandbox.spec import BindMount, CommandStep, ContainerSpec, ScriptStep, Step
from rootrun.sandbox.userns import enter_namespaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The request: plain values only."""

    lower: str
    scratch: str
    scripts: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    id_map: str = "auto"
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": "/bin"})
    working_directory: str = "/"
    user: str | None = None
    has_host_network: bool = False
    binds: list[list[str]] = field(default_factory=list)  # source, destination[, "ro"]
    tmpfs: list[str] = field(default_factory=list)
    timeout_s: float | None = None
    has_stdin: bool = True  # False: the driver closes its own before it does anything
    failing_task: str | None = None  # the error of a task that runs alongside
    emulator: str | None = None  # the behaviour of an Answering


_X86_64, _I386 = 0xC000003E, 0x40000003
_TRAPPED = {
    (_X86_64, 90): "chmod",
    (_X86_64, 268): "fchmodat",
    (_X86_64, 188): "setxattr",
    (_I386, 15): "chmod",
    (_I386, 226): "setxattr",
}


def traps() -> bytes:
    """Return the beginning of a filter: what is ``_TRAPPED`` traps (SECCOMP_RET_TRAP)."""
    program = b""
    for arch, number in _TRAPPED:
        loads = [(0x20, 0, 0, 4), (0x15, 0, 3, arch), (0x20, 0, 0, 0), (0x15, 0, 1, number)]
        program += b"".join(pack("=HBBI", *field) for field in [*loads, (0x06, 0, 0, 0x30000)])
    return program


class Answering:
    """Answers each call in the one way that ``behaviour`` names, and tells of it on stderr.

    With ``trap`` before that, it traps some calls too, and tells of those of chmod.
    """

    def __init__(self, behaviour: str) -> None:
        self.emulates_ids = False
        self.traps = behaviour.startswith("trap ")
        self._behaviour = behaviour.removeprefix("trap ")
        self.wants_listener = self._behaviour != "fast"
        level = Level.RECORD if self.wants_listener else Level.FAST
        self.untrapped_program = filter_program(
            FilterPlan(level=level, is_lone=False, base_is_recorded=False)
        )
        self.program = (traps() if self.traps else b"") + self.untrapped_program
        self.fallback_program = filter_program(FilterPlan(level=Level.FAST))

    def answer_trap(self, call: SystemCall) -> int:
        """Have setxattr return its size, or fail with it if that is negative; all else is done."""
        if self._behaviour == "break":
            raise ValueError("broken")
        name = _TRAPPED[call.arch, call.number]
        if name == "setxattr":
            size = (call.arguments[3] & 0xFFFFFFFF ^ 1 << 31) - (1 << 31)
            if size < 0:
                raise OSError(-size, "of the test")
            return size
        target, mode = call.arguments[1:3] if name == "fchmodat" else call.arguments[:2]
        path = os.fsdecode(read_path(call.pid, target))
        os.write(2, f"trapped {name} {path} {mode:o}\n".encode())
        return 0

    def serve(self, listener: Listener) -> None:
        """Take one call."""
        call = listener.receive()
        if call is not None:
            with suppress(ProcessLookupError):  # it was killed meanwhile
                self._take(listener, call)

    def _take(self, listener: Listener, call: Notification) -> None:
        names = {number: name for name, number in numbers(NUMBERS, call.arch).items()}
        name = names.get(call.number, "")
        target, *values = call.arguments[1:] if name.endswith("at") else call.arguments
        path = "" if name == "fchown" else os.fsdecode(read_path(call.pid, target))
        os.write(2, f"asked {name} {path} {tuple(values[:2])}\n".encode())
        match self._behaviour:
            case "agree":
                listener.answer(call)
            case "refuse":
                listener.answer(call, error=EXDEV)
            case "let through":
                listener.let_through(call)
            case "kill":
                os.write(2, f"alive {listener.is_alive(call)}\n".encode())
                os.kill(call.pid, SIGKILL)
                while listener.is_alive(call):
                    pass
                listener.answer(call)
            case "break":
                raise ValueError("broken")
            case "forget":
                pass


@contextmanager
def mounted(wanted: Wanted) -> Iterator[Path]:
    """Mount a fresh overlay over the wanted tree."""
    directories = [Path(wanted.scratch, name) for name in ("upper", "work", "merged", "empty")]
    for path in directories:
        path.mkdir()
    upper, work, merged, empty = directories
    mount_overlay(merged, lowers=[Path(wanted.lower), empty], upper=upper, work=work)
    try:
        yield merged
    finally:
        unmount(merged)


def steps_of(wanted: Wanted) -> tuple[Step, ...]:
    """Return the scripts, named after their order, or the command."""
    scripts = (
        ScriptStep(f"{number}.sh", os.fsencode(content))
        for number, content in enumerate(wanted.scripts, start=1)
    )
    return (CommandStep(tuple(wanted.command)),) if wanted.command else tuple(scripts)


def spec_of(wanted: Wanted, id_map: IdMap, root: Path) -> ContainerSpec:
    """Return the container that was asked for."""
    return ContainerSpec(
        root=root,
        steps=steps_of(wanted),
        environment=wanted.environment,
        id_map=id_map,
        working_directory=wanted.working_directory,
        user=wanted.user,
        has_host_network=wanted.has_host_network,
        binds=tuple(BindMount(Path(b[0]), b[1], len(b) > 2) for b in wanted.binds),
        tmpfs=tuple(wanted.tmpfs),
        timeout_s=wanted.timeout_s,
        emulator=None if wanted.emulator is None else Answering(wanted.emulator),
    )


def run(wanted: Wanted) -> dict[str, object]:
    """Run it and return the outcome, or the error."""
    id_map = enter_namespaces(choose_id_map(wanted.id_map))
    try:
        with mounted(wanted) as root:
            spec = spec_of(wanted, id_map, root)
            if wanted.failing_task is None:
                outcome = run_container(spec)
            else:
                message = wanted.failing_task
                with run_in_child(lambda: fail(message), name="fail") as task:
                    outcome = run_container(spec, alongside=[task])
            return {"idMap": id_map.kind.value, **dict(zip(outcome._fields, outcome, strict=True))}
    except RootrunError as error:
        kind = type(error).__name__
        return {"error": kind, "message": str(error), "hint": error.hint, "exit": error.exit_code}
    except Interrupted as stop:
        return {"error": "Interrupted", "message": str(stop.signal_number)}


def fail(message: str) -> None:
    """Fail as a task alongside would."""
    raise RootrunError(message)


def interrupt(number: int, _frame: object) -> None:
    """Do what cli/ does on a signal."""
    raise Interrupted(number)


def tell(_: log.Level, text: str) -> None:
    """Write a warning where the test looks for it."""
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Read, run, print."""
    wanted = Wanted(**json.load(sys.stdin))
    if not wanted.has_stdin:
        os.close(0)
    before = os.listdir("/proc/self/fd")
    for number in (SIGINT, SIGTERM):
        signal(number, interrupt)
    log.listen(tell, least=log.Level.WARNING)
    answer = run(wanted)
    answer["children"] = has_children()
    answer["leaked"] = len(os.listdir("/proc/self/fd")) - len(before)
    sys.stdout.write(json.dumps(answer))


def has_children() -> bool:
    """Say whether a child is left, dead or alive."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    main()
