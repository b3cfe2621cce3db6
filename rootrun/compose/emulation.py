"""Which emulation a run gets, and its memory.

What it consists of is imported when it is needed: most runs have ids enough.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rootrun.fakeroot.level import Level
from rootrun.layer.compare import Ownership, Remembered
from rootrun.layer.entry import DEVICE_TYPES, EntryPath
from rootrun.layer.stack import LayerStack
from rootrun.request import Request
from rootrun.rootfs.backend import Rootfs
from rootrun.sandbox.idmap import IdMap, IdMapKind
from rootrun.sandbox.spec import Emulator

log = logging.getLogger(__name__)

AUTO = "auto"


class Emulation(NamedTuple):
    """What answers the calls of a run, and what it remembers for the diff; None: the kernel."""

    emulator: Emulator | None
    ownership: Ownership | None


def level_of(request: Request, id_map: IdMap) -> Level:
    """Return the level that ``request`` asks for, or the one that its id map needs.

    Owners that are written have to be those that the script's tools saw, too:
    ``cp -a`` and shadow-utils give files the owner that stat(2) told.
    """
    word = request.sandbox.emulate
    if word != AUTO:
        return Level(word)
    if id_map.kind is not IdMapKind.SINGLE:
        return Level.OFF
    from rootrun.fakeroot.filters import is_known_machine

    if not is_known_machine():
        return Level.OFF
    return Level.FULL if request.policy.owner_counts else Level.RECORD


@contextmanager
def emulation(
    request: Request, *, id_map: IdMap, rootfs: Rootfs, stack: LayerStack
) -> Iterator[Emulation]:
    """Prepare what ``request`` asks for, for a run in ``rootfs``, that of ``stack``.

    Raises RootrunError for a machine whose calls are not known.
    """
    level = level_of(request, id_map)
    if level is Level.OFF:
        yield Emulation(None, None)
        return
    from rootrun.fakeroot.owners import Owners
    from rootrun.fakeroot.ownership import OwnershipMemory
    from rootrun.fakeroot.supervisor import Supervisor
    from rootrun.fakeroot.upper import UpperTree

    log.debug("root emulation: %s", level.value)
    tree = UpperTree(root=rootfs.root, upper=rootfs.upper)
    try:
        memory = OwnershipMemory()
        owners = Owners(
            tree,
            memory,
            base_owner=lambda path: _base_owner(stack, path),
            base_is_recorded=bool(stack.recorded),
        )
        is_lone = id_map.kind is IdMapKind.SINGLE
        supervisor = Supervisor(level, tree=tree, memory=memory, owners=owners, is_lone=is_lone)
        yield Emulation(supervisor, memory)
    finally:
        tree.close()


def _base_owner(stack: LayerStack, path: EntryPath) -> Remembered | None:
    if path not in stack.recorded:
        return None
    found = stack.find(path)
    if found is None or found.entry.type in DEVICE_TYPES:
        return None
    return Remembered(found.entry.uid, found.entry.gid)
