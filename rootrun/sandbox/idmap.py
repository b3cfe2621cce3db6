"""Id maps: which ids of the container are which ids of the host (user_namespaces(7))."""

from enum import Enum

from rootrun.dataclass import dataclass


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
    may_fall_back: bool = False  # to SINGLE, if the kernel or newuidmap(1) refuses this one

    @property
    def key(self) -> str:
        """The name under which the cache keeps trees made with this map.

        Trees made under maps of one key have the same owners on disk.
        """
        kind: str = self.kind.value
        if self.kind is not IdMapKind.SUBIDS:
            return kind
        ranges = sorted({(e.host_id, e.count) for e in (*self.uids, *self.gids) if e.count > 1})
        return "-".join([kind, *(f"{start}+{count}" for start, count in ranges)])

    @property
    def can_set_groups(self) -> bool:
        """Say whether setgroups(2) works inside: gid_map of a single gid needs it denied."""
        return self.kind is not IdMapKind.SINGLE

    def has_uid(self, container_uid: int) -> bool:
        """Say whether ``container_uid`` exists inside."""
        return _contains(self.uids, container_uid)

    def has_gid(self, container_gid: int) -> bool:
        """Say whether ``container_gid`` exists inside."""
        return _contains(self.gids, container_gid)


def identity(extents: tuple[Extent, ...]) -> tuple[Extent, ...]:
    """Return the map of the same inner ids onto themselves, for a namespace one level down."""
    return tuple(
        Extent(container_id=e.container_id, host_id=e.container_id, count=e.count) for e in extents
    )


def first_missing(extents: tuple[Extent, ...]) -> int:
    """Return the lowest id that does not exist inside."""
    missing = 0
    for extent in sorted(extents, key=lambda extent: extent.container_id):
        if extent.container_id > missing:
            break
        missing = max(missing, extent.container_id + extent.count)
    return missing


def map_lines(extents: tuple[Extent, ...]) -> bytes:
    """Return ``extents`` as uid_map and gid_map take them (user_namespaces(7))."""
    lines = (f"{e.container_id} {e.host_id} {e.count}\n" for e in extents)
    return "".join(lines).encode()


def parse_map(content: bytes) -> tuple[Extent, ...]:
    """Return the extents that a uid_map or gid_map file lists."""
    numbers = [[int(field) for field in line.split()] for line in content.splitlines()]
    return tuple(Extent(container_id=i, host_id=o, count=n) for i, o, n in numbers)


def _contains(extents: tuple[Extent, ...], container_id: int) -> bool:
    return any(e.container_id <= container_id < e.container_id + e.count for e in extents)
