"""Whose a path of the container's root is, for the calls that ask."""

import os
from collections.abc import Callable

from rootrun.fakeroot.ownership import OwnershipMemory
from rootrun.fakeroot.upper import UpperTree
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import EntryPath

BaseOwner = Callable[[EntryPath], Remembered | None]
"""Returns what the image says of a path, None where the disk says the same."""


class Owners:
    """The memory of the run over the records of the base."""

    def __init__(
        self,
        tree: UpperTree,
        memory: OwnershipMemory,
        *,
        base_owner: BaseOwner,
        base_is_recorded: bool,
    ) -> None:
        self._tree = tree
        self._memory = memory
        self._base_owner = base_owner
        self._base_is_recorded = base_is_recorded

    @property
    def are_all_on_disk(self) -> bool:
        """Whether there is nothing yet that the disk does not say."""
        return not self._memory and not self._base_is_recorded

    def find(self, fd: int) -> Remembered | None:
        """Return what is known of an open file, None where the disk says it all."""
        if not self._tree.has(os.fstat(fd)):
            return None
        key = self._tree.find(fd)
        known = self._memory.recall(key) if key is not None else None
        if known is not None and known.uid is not None and known.gid is not None:
            return known
        base = self._base_owner(self._tree.path(fd)) if self._base_is_recorded else None
        if known is None or base is None:
            return known or base
        uid = base.uid if known.uid is None else known.uid
        gid = base.gid if known.gid is None else known.gid
        return known._replace(uid=uid, gid=gid)
