"""A second machine from the present state of another one."""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress

from rootrun.testing.link import MachineLink
from rootrun.testing.network import Network, Seat
from rootrun.testing.task_names import SAVE

_NAME_BYTES = 8
_PIPE_BYTES = 1 << 20


def forked_link(
    link: MachineLink, name: str, networks: Sequence[Network | Seat], *, deadline_s: float
) -> MachineLink:
    """Return the way to a new machine, up, with the files of the one of ``link``.

    The keeper of the new one unpacks what the other keeper packs meanwhile.
    """
    layers = (*link.plan.layers, os.urandom(_NAME_BYTES).hex())
    plan = link.plan._replace(name=name, layers=layers, has_hosts=bool(networks))
    new = MachineLink(plan, link.options, networks)
    what = f"fork machine {link.name}"
    parent = link.child.pid
    reader, writer = os.pipe()
    with suppress(PermissionError):  # the user has as many as he may: then it is a small one
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        new.make({"parent": parent}, deadline_s=deadline_s, descriptors=[reader])
        os.close(reader)
        reader = -1
        link.ask(SAVE, deadline_s=deadline_s, what=what, descriptors=[writer])
    except BaseException:
        new.close()
        raise
    finally:
        for fd in (reader, writer):
            if fd >= 0:
                os.close(fd)
    new.start(deadline_s=deadline_s)
    return new
