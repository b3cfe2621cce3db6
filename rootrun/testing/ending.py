"""Why a machine ended, told to who was using it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import MachineGoneError, MachineTimeoutError, RootrunError
from rootrun.testing.asking import ask
from rootrun.testing.connection import Child
from rootrun.testing.task_names import END_TOLD

if TYPE_CHECKING:
    import _socket

_TOLD_WITHIN_S = 5.0


@contextmanager
def explained(keeper: Child) -> Iterator["_socket.socket"]:
    """Yield where to ask; a ``MachineGoneError`` in the block is raised with its reason.

    That is then the class of the error: a ``LimitError`` for a limit.
    """
    try:
        yield keeper.questions
    except MachineGoneError as gone:
        raise _with_reason(gone, keeper) from None


def _with_reason(gone: MachineGoneError, keeper: Child) -> RootrunError:
    try:
        with ask(keeper.questions, END_TOLD) as answers:
            answers.only(time.monotonic() + _TOLD_WITHIN_S, what=str(gone))
    except MachineGoneError:
        return MachineGoneError(f"{gone}: the process that kept it is gone")
    except MachineTimeoutError:
        return gone
    except RootrunError as reason:
        return type(reason)(f"{gone}: {reason}", hint=reason.hint)
    return gone
