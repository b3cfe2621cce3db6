"""What a keeper does for connections out of its machine: it has pasta run as long as that is up."""

import os

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import MachineError
from rootrun.sandbox import syscalls
from rootrun.sandbox.helper import BackgroundHelper
from rootrun.sandbox.serving import Request as Question
from rootrun.sandbox.wire import send
from rootrun.testing.network.outgoing import pasta_command

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

_connections: "list[_Connection]" = []  # of the one machine of this process, one at most


def answer(keeper: "Keeper", question: Question) -> None:
    """Connect the network namespace that comes along; without one, raise what went wrong since."""
    if question.descriptors:
        _Connection(keeper, question.descriptors[0])
    for connection in _connections:
        connection.check()
    send(question.answer, "done")


class _Connection:
    """One pasta, that ends with the container."""

    def __init__(self, keeper: "Keeper", namespace: int) -> None:
        running = keeper.running
        if running is None:
            raise MachineError(f"machine {keeper.plan.name}: is down")
        self._keeper = keeper
        # pasta gives up the rights that it would need to look into /proc of the container.
        self._place = keeper.scratch / "network-namespace"
        self._place.touch()
        syscalls.mount(f"/proc/self/fd/{namespace}", self._place, None, syscalls.MS_BIND)
        self._helper = BackgroundHelper(pasta_command(self._place))
        self._init = os.pidfd_open(running.init_pid)
        keeper.attend_to(self._init, self._end)
        _connections.append(self)

    def check(self) -> None:
        """Raise HelperError if pasta has ended."""
        self._helper.check()

    def _end(self) -> None:
        _connections.remove(self)
        self._keeper.forget(self._init)
        os.close(self._init)
        self._helper.end()
        # Its namespace lives, and its links, as long as it is mounted.
        syscalls.umount2(self._place, syscalls.MNT_DETACH)
