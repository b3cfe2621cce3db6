"""Id maps: which ids of the container are which ids of the host (user_namespaces(7))."""

from dataclasses import dataclass
from enum import Enum


class IdMapKind(Enum):
    """The ways to get ids, best first."""

    ROOT = "root"  # the caller is root: every id is itself
    SUBIDS = "subids"  # /etc/subuid ranges, written by newuidmap(1)
    SINGLE = "single"  # the caller's own uid and gid as 0, nothing else


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """``count`` ids from ``container_id`` on are those from ``host_id`` on."""

    container_id: int
    host_id: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdMap:
    """A chosen id map, and why it was chosen (one clause, for the log)."""

    kind: IdMapKind
    uids: tuple[Extent, ...]
    gids: tuple[Extent, ...]
    reason: str

    @property
    def key(self) -> str:
        """The name under which the cache keeps trees made with this map.

        Trees made under maps of one key have the same owners on disk.
        """
        if self.kind is not IdMapKind.SUBIDS:
            return self.kind.value
        ranges = sorted({(e.host_id, e.count) for e in (*self.uids, *self.gids) if e.count > 1})
        return "-".join(["subids", *(f"{start}+{count}" for start, count in ranges)])

    def has_uid(self, container_uid: int) -> bool:
        """Say whether ``container_uid`` exists inside."""
        return _contains(self.uids, container_uid)

    def has_gid(self, container_gid: int) -> bool:
        """Say whether ``container_gid`` exists inside."""
        return _contains(self.gids, container_gid)


def _contains(extents: tuple[Extent, ...], container_id: int) -> bool:
    return any(e.container_id <= container_id < e.container_id + e.count for e in extents)
