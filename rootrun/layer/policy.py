"""How changes are rewritten before they enter a layer: times and owners."""

from enum import Enum

from rootrun.dataclass import dataclass


class OwnerRule(Enum):
    """Whose the changed paths of a layer are."""

    ROOT = "root"  # 0:0, whatever the script did
    KEEP = "keep"  # what the script made
    FIXED = "fixed"  # the uid and gid of the policy


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPolicy:
    """How an entry is rewritten before it enters the layer (DESIGN, the layer)."""

    mtime_s: int = 1  # seconds since the epoch
    owner: OwnerRule = OwnerRule.ROOT
    uid: int = 0
    gid: int = 0

    @property
    def owner_counts(self) -> bool:
        """Whether a new owner alone is a change."""
        return self.owner is OwnerRule.KEEP

    def owner_of(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the owner to write for a changed path that belongs to ``uid``:``gid``."""
        return (uid, gid) if self.owner is OwnerRule.KEEP else (self.uid, self.gid)
