"""How changes are rewritten before they enter a layer: times, owners and order."""

from collections.abc import Iterable
from enum import Enum

from rootrun.dataclass import dataclass
from rootrun.layer.entry import Entry, name_bytes
from rootrun.layer.header import USTAR, TarFormat
from rootrun.namedtuple import NamedTuple


class OwnerRule(Enum):
    """Whose the changed paths of a layer are."""

    ROOT = "root"  # 0:0, whatever the script did
    KEEP = "keep"  # what the script made
    FIXED = "fixed"  # the uid and gid of the policy


class LayerShape(NamedTuple):
    """What of a layer is no change: its tar, the order, and what is there beside the changes."""

    name: str = ""  # as ``--compat`` has it
    tar_format: TarFormat = USTAR
    mixes_whiteouts: bool = False  # sorts them among the other names, not before those
    has_root: bool = False  # an entry for the root, changed or not
    has_all_copies: bool = False  # where nothing else is done: what the layers below have too

    def ordered(self, whiteouts: Iterable[str], others: Iterable[str]) -> list[str]:
        """Return the names of one directory in the order of their entries."""
        if self.mixes_whiteouts:
            return sorted([*whiteouts, *others], key=name_bytes)
        return sorted(whiteouts, key=name_bytes) + sorted(others, key=name_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPolicy:
    """How an entry is rewritten before it enters the layer (DESIGN, the layer)."""

    mtime_s: int = 1  # seconds since the epoch
    owner: OwnerRule = OwnerRule.ROOT
    uid: int = 0
    gid: int = 0
    shape: LayerShape = LayerShape()
    keeps_mtimes: bool = False  # as they are; then a new one alone is a change

    @property
    def owner_counts(self) -> bool:
        """Whether a new owner alone is a change."""
        return self.owner is OwnerRule.KEEP

    def counts(self, new: Entry, old: Entry) -> bool:
        """Say whether ``new`` has another owner or time than ``old``, and that is a change."""
        if self.keeps_mtimes and new.mtime_s != old.mtime_s:
            return True
        return self.owner_counts and (new.uid, new.gid) != (old.uid, old.gid)

    def mtime_of(self, mtime_s: int) -> int:
        """Return the time to write for a path that has ``mtime_s``."""
        return mtime_s if self.keeps_mtimes else self.mtime_s

    def owner_of(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the owner to write for a changed path that belongs to ``uid``:``gid``."""
        return (uid, gid) if self.owner is OwnerRule.KEEP else (self.uid, self.gid)
