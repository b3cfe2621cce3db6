"""Running a container and supervising it, from the main process."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rootrun import log
from rootrun.errors import Interrupted, ScriptTimeoutError
from rootrun.sandbox.child import ChildTask
from rootrun.sandbox.forking import signals_blocked, signals_let_in
from rootrun.sandbox.limits import Keeping, kept_limits
from rootrun.sandbox.mounts import MountPlan, mount_plan
from rootrun.sandbox.running import RunningContainer
from rootrun.sandbox.spec import ContainerSpec, Outcome

GRACE_AFTER_TIMEOUT_S = 2.0
GRACE_AFTER_SIGNAL_S = 5.0


def run_container(spec: ContainerSpec, *, alongside: Sequence[ChildTask] = ()) -> Outcome:
    """Run the steps of ``spec`` and return how they ended; afterwards no process of them exists.

    Call it in the namespaces of ``enter_namespaces``. A status other than 0 is no error here. If a
    task ``alongside`` fails first, the container is killed and the task's error raised. Raises
    ``ScriptTimeoutError``, ``LimitError``, ``CommandNotFoundError``, ``CommandNotExecutableError``,
    and ``SandboxError`` for what the kernel or the image refuses or if init or its monitor is
    killed.
    ``Interrupted`` is passed on to the steps as its signal, which then have 5 s; a second one
    leaves them none.
    """
    plan = mount_plan(spec)
    if log.is_debugging():
        for operation in plan:
            log.debug("%s", operation.describe())
    with (
        kept_limits(spec.limits, spec.id_map) as keeping,
        started_container(spec, plan, keeping) as running,
    ):
        try:
            return _wait(running, spec, alongside)
        except Interrupted as stop:
            log.debug("signal %d: passed on to the script", stop.signal_number)
            with signals_let_in():
                running.stop(stop.signal_number, grace_s=GRACE_AFTER_SIGNAL_S)
            raise


@contextmanager
def started_container(
    spec: ContainerSpec, plan: MountPlan, keeping: Keeping
) -> Iterator[RunningContainer]:
    """Start the container of ``spec``; at the end of the block no process of it is left."""
    container = RunningContainer(keeping)
    try:
        with signals_blocked():
            container.start(spec, plan)
        yield container
    finally:
        with signals_blocked():
            container.destroy()


def _wait(
    container: RunningContainer, spec: ContainerSpec, alongside: Sequence[ChildTask]
) -> Outcome:
    started_s = time.monotonic()
    deadline_s = None if spec.timeout_s is None else started_s + spec.timeout_s
    if not container.wait(deadline_s, alongside):
        processes = container.describe_processes()
        container.stop(signal.SIGTERM, grace_s=GRACE_AFTER_TIMEOUT_S)
        raise ScriptTimeoutError(
            f"run {spec.steps[container.current_step].name}: "
            f"longer than the timeout of {spec.timeout_s:g} s: still running: {processes}"
        )
    name = spec.steps[container.current_step].name
    return container.outcome(name, wall_s=time.monotonic() - started_s)
