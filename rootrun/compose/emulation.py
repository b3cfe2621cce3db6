"""Which emulation a run gets, and its memory."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rootrun.fakeroot.filters import is_known_machine
from rootrun.fakeroot.level import Level
from rootrun.fakeroot.owners import Owners
from rootrun.fakeroot.ownership import OwnershipMemory
from rootrun.fakeroot.supervisor import Supervisor
from rootrun.fakeroot.upper import UpperTree
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import DEVICE_TYPES, EntryPath
from rootrun.layer.stack import LayerStack
from rootrun.rootfs.backend import Rootfs
from rootrun.sandbox.idmap import IdMap, IdMapKind

log = logging.getLogger(__name__)

AUTO = "auto"


class Emulation(NamedTuple):
    """What answers the calls of a run, and what it remembers for the diff; None: the kernel."""

    supervisor: Supervisor | None
    memory: OwnershipMemory | None


def level_of(word: str, id_map: IdMap) -> Level:
    """Return the level that ``word`` of the command line means with ``id_map``."""
    if word != AUTO:
        return Level(word)
    is_needed = id_map.kind is IdMapKind.SINGLE and is_known_machine()
    return Level.RECORD if is_needed else Level.OFF


@contextmanager
def emulation(level: Level, *, rootfs: Rootfs, stack: LayerStack) -> Iterator[Emulation]:
    """Prepare ``level`` for runs in ``rootfs``, the mounted root of ``stack``."""
    if level is Level.OFF:
        yield Emulation(None, None)
        return
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
        supervisor = Supervisor(level, tree=tree, memory=memory, owners=owners)
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
