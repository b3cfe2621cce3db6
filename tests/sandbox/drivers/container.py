"""Run one container as the request on stdin says, and print what became of it, both as JSON."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGTERM, signal

from rootrun.errors import Interrupted, RootrunError
from rootrun.sandbox.child import run_in_child
from rootrun.sandbox.container import run_container
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.overlay import mount_overlay, unmount
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
            return {"idMap": id_map.kind.value, **outcome._asdict()}
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


def main() -> None:
    """Read, run, print."""
    wanted = Wanted(**json.load(sys.stdin))
    if not wanted.has_stdin:
        os.close(0)
    for number in (SIGINT, SIGTERM):
        signal(number, interrupt)
    answer = run(wanted)
    answer["children"] = has_children()
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
