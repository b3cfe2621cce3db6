"""Who is on which network, as the machines are told."""

import time
from _thread import allocate_lock
from collections.abc import Iterable, Sequence
from contextlib import suppress

from rootrun.annotation import TYPE_CHECKING
from rootrun.errors import MachineError
from rootrun.testing.asking import Answers
from rootrun.testing.network.hosts import lines_of
from rootrun.testing.task_names import HOSTS

if TYPE_CHECKING:
    from rootrun.testing.link import MachineLink

# Hold it to change who is where: several threads may make, start and close machines at once.
MEMBERS = allocate_lock()

_ANSWERS_WITHIN_S = 60.0


def tell(links: "Iterable[MachineLink]") -> list[Answers]:
    """Tell machines, as far as they have started, who is on their networks; hold ``MEMBERS``."""
    started = {id(link): link for link in links if link.has_child}
    return [link.answers(HOSTS, {"lines": _lines_for(link)}) for link in started.values()]


def wait_for(told: Sequence[Answers]) -> None:
    """Wait until their hosts files say so. Do not hold ``MEMBERS``."""
    deadline_s = time.monotonic() + _ANSWERS_WITHIN_S
    for answers in told:
        with answers, suppress(MachineError):  # it has ended meanwhile
            answers.only(deadline_s, what="tell a machine the names of others")


def _lines_for(link: "MachineLink") -> str:
    networks = link.membership.networks
    return lines_of(dict.fromkeys(host for network in networks for host in network.hosts()))
