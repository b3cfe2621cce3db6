"""What a machine may use, beside what ``sandbox.limits`` keeps."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rootrun.dataclass import replace
from rootrun.errors import SandboxError, told_as
from rootrun.rootfs.backend import Rootfs
from rootrun.rootfs.disk_limit import DiskUse, DiskWatch
from rootrun.sandbox import syscalls
from rootrun.sandbox.child import ChildTask
from rootrun.sandbox.idmap import IdMapKind, identity
from rootrun.sandbox.userns import enter_namespaces
from rootrun.testing.images import MachineGround


class MachineDisk:
    """What the machine ``name`` adds to ``rootfs``, over all its boots; None: without limit."""

    def __init__(self, rootfs: Rootfs, limit_bytes: int | None, name: str) -> None:
        self._watch = None
        if limit_bytes is not None:
            self._watch = DiskWatch(rootfs, limit_bytes, name=f"machine {name}")
        self.use = DiskUse(rootfs) if self._watch is None else self._watch.use

    @contextmanager
    def watching(self) -> Iterator[Sequence[ChildTask]]:
        """Yield what is to run alongside; raises LimitError if there is too much already."""
        if self._watch is None:
            yield ()
            return
        self._watch.check()
        with self._watch.watching() as task:
            yield (task,)


def enter_own_namespaces(ground: MachineGround) -> None:
    """Give the mounts of this process, and what is counted of it, to it alone."""
    id_map = ground.id_map
    if ground.request.sandbox.pids is None or id_map.kind is IdMapKind.ROOT:
        with told_as(SandboxError, "enter namespaces", "/"):
            syscalls.unshare(syscalls.CLONE_NEWNS)
        return
    # Processes are counted by uid: that of the hub's namespace has those of all machines.
    uids, gids = identity(id_map.uids), identity(id_map.gids)
    syscalls.allow_inspection()  # else the files of the maps are not ours
    enter_namespaces(replace(id_map, kind=IdMapKind.ROOT, uids=uids, gids=gids))
    syscalls.die_with_parent()
