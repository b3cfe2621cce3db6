"""What a keeper does itself, beside running the container: each task in a module of its own."""

import importlib

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import MachineError
from rootrun.sandbox.serving import Request as Question
from rootrun.testing.task_names import (
    COMMIT,
    COPY_IN,
    COPY_OUT,
    DIFF,
    HOSTS,
    OUTGOING,
    PROCESSES,
    SAVE,
    SERVICE,
    SERVICES,
    SOCKETS,
    STACKS,
    START_SERVICE,
    USED,
)

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

# The function ``answer`` of the module does the task and answers; few machines need most of them.
_MODULES: dict[str, str] = {
    **dict.fromkeys((DIFF, COMMIT, SAVE), "rootrun.testing.state_tasks"),
    **dict.fromkeys((COPY_IN, COPY_OUT), "rootrun.testing.copy_tasks"),
    **dict.fromkeys((START_SERVICE, SERVICE, SERVICES), "rootrun.testing.service_tasks"),
    **dict.fromkeys((PROCESSES, SOCKETS, USED), "rootrun.testing.observation_tasks"),
    STACKS: "rootrun.testing.stacks",
    HOSTS: "rootrun.testing.network.hosts",
    OUTGOING: "rootrun.testing.network.outgoing_tasks",
}


def do_task(task: str, keeper: "Keeper", question: Question) -> None:
    """Do ``task`` for the machine of ``keeper``, and answer; raises what goes wrong."""
    module = _MODULES.get(task)
    if module is None:
        raise MachineError(f"ask a machine: {task!r}: unknown")
    importlib.import_module(module).answer(keeper, question)
