"""The record of an unpacked layer: what the tree on disk leaves out or gets wrong."""

import base64
import json
import os
from collections.abc import Callable, Iterable, Mapping

from rootrun.annotation import Protocol
from rootrun.dataclass import dataclass, field
from rootrun.errors import StoreError
from rootrun.layer.entry import EntryPath, EntryType
from rootrun.layer.metadata import has_whiteout
from rootrun.layer.seal import sealed, unsealed
from rootrun.namedtuple import NamedTuple

_KIND = "rootrun-layer-record-2"

_Group = tuple[str, int, int, int, Iterable[int], Mapping[str, str], list[EntryPath]]
# of paths with the same metadata: the fields of Recorded, and the paths


class IdRanges(Protocol):
    """The ids that can own a file on disk (``sandbox.idmap.IdMap`` is one)."""

    def has_uid(self, container_uid: int, /) -> bool:
        """Say whether a file can belong to the user ``container_uid``."""
        ...

    def has_gid(self, container_gid: int, /) -> bool:
        """Say whether a file can belong to the group ``container_gid``."""
        ...


class Recorded(NamedTuple):
    """The true metadata of an entry that the disk misstates.

    ``xattrs`` are all that the layer keeps, those on the disk too.
    """

    type: EntryType
    mode: int
    uid: int
    gid: int
    rdev: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRecord:
    """What must be known of a layer beside its unpacked tree.

    ``implicit``: directories that exist only as parents of entries, and the root of a
    layer without an entry for it. ``opaque``: directories that hide what lower layers
    have in them. ``foreign_links``: hard links whose target this layer does not hold;
    the tree has a whiteout at their names, as at those of devices. ``unmarked``:
    where the disk could not hold a mark of overlayfs: whiteouts, for which empty files
    stand, and directories; overlayfs would not show such a layer as it is. ``set_ids``:
    regular files with setuid or setgid, also in ``entries``. ``entry_count`` and
    ``size_bytes`` are of the tar: its entries, and the content of its regular files
    with holes counted. ``checksum`` is what ``checksum_tree`` returns for an
    undamaged tree.
    """

    entries: Mapping[EntryPath, Recorded] = field(default_factory=dict)
    implicit: frozenset[EntryPath] = frozenset()
    opaque: frozenset[EntryPath] = frozenset()
    foreign_links: Mapping[EntryPath, EntryPath] = field(default_factory=dict)
    unmarked: frozenset[EntryPath] = frozenset()
    set_ids: frozenset[EntryPath] = frozenset()
    entry_count: int = 0
    size_bytes: int = 0
    checksum: int = 0

    def is_whiteout(self, path: EntryPath, status: os.stat_result) -> bool:
        """Say whether ``path``, with its lstat(2), is a whiteout or what stands for one."""
        return has_whiteout(path, status, unmarked=self.unmarked)

    def where(self, holds: Callable[[Recorded], bool]) -> set[EntryPath]:
        """Return the paths in ``entries`` of whose metadata ``holds`` is true.

        It is asked once for all paths that ``from_bytes`` gave the same.
        """
        values = {id(recorded): recorded for recorded in self.entries.values()}
        wanted = {key for key, recorded in values.items() if holds(recorded)}
        if not wanted:
            return set()
        return {path for path, recorded in self.entries.items() if id(recorded) in wanted}

    def to_bytes(self) -> bytes:
        """Return the record as a file's content; equal records give equal bytes."""
        document = {
            "entries": _entries_to_json(self.entries),
            "implicit": _paths_to_json(self.implicit),
            "opaque": _paths_to_json(self.opaque),
            "foreign_links": {
                _to_text(path): _to_text(target)
                for path, target in sorted(self.foreign_links.items())
            },
            "unmarked": _paths_to_json(self.unmarked),
            "set_ids": _paths_to_json(self.set_ids),
            "entry_count": self.entry_count,
            "size_bytes": self.size_bytes,
            "checksum": self.checksum,
        }
        return sealed(_KIND, document)

    @classmethod
    def from_bytes(cls, content: bytes) -> "LayerRecord":
        """Return the record that ``to_bytes`` wrote; raise StoreError if it is damaged."""
        body = unsealed(_KIND, content)
        # The body is what to_bytes wrote; what follows cannot fail but for a checksum by accident.
        try:
            document = json.loads(body)
            return cls(
                entries=_entries_from_json(document["entries"], has_odd_names=b"\\u" in body),
                implicit=_paths_from_json(document["implicit"]),
                opaque=_paths_from_json(document["opaque"]),
                foreign_links={
                    _from_text(path): _from_text(target)
                    for path, target in document["foreign_links"].items()
                },
                unmarked=_paths_from_json(document["unmarked"]),
                set_ids=_paths_from_json(document["set_ids"]),
                entry_count=document["entry_count"],
                size_bytes=document["size_bytes"],
                checksum=document["checksum"],
            )
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(f"read cache: {_KIND}: is damaged") from error


def _entries_to_json(entries: Mapping[EntryPath, Recorded]) -> list[object]:
    """Return the paths by their metadata, which most share with thousands: read in each run."""
    paths: dict[tuple[object, ...], list[EntryPath]] = {}
    for path, (kind, mode, uid, gid, rdev, xattrs) in entries.items():
        fields = (kind.value, mode, uid, gid, rdev, tuple(sorted(xattrs.items())))
        paths.setdefault(fields, []).append(path)
    return [
        [*_recorded_to_json(entries[same[0]]), _paths_to_json(same)]
        for _, same in sorted(paths.items())
    ]


def _entries_from_json(
    groups: Iterable[_Group], *, has_odd_names: bool
) -> dict[EntryPath, Recorded]:
    entries: dict[EntryPath, Recorded] = {}
    for kind, mode, uid, gid, rdev, xattrs, paths in groups:
        recorded = _recorded_from_json(kind, mode, uid, gid, rdev, xattrs)
        # The locale matters to names beyond ASCII, which JSON escapes.
        names = map(_from_text, paths) if has_odd_names else paths
        entries.update(dict.fromkeys(names, recorded))
    return entries


def _recorded_to_json(recorded: Recorded) -> list[object]:
    values = {
        _to_text(name): base64.b64encode(value).decode("ascii")
        for name, value in sorted(recorded.xattrs.items())
    }
    kind = recorded.type.value.decode("ascii")
    return [kind, recorded.mode, recorded.uid, recorded.gid, list(recorded.rdev), values]


def _recorded_from_json(
    kind: str, mode: int, uid: int, gid: int, rdev: Iterable[int], xattrs: Mapping[str, str]
) -> Recorded:
    values: dict[str, bytes] = {
        _from_text(name): base64.b64decode(value) for name, value in xattrs.items()
    }
    major, minor = rdev
    return Recorded(EntryType(kind.encode("ascii")), mode, uid, gid, (major, minor), values)


def _paths_to_json(paths: Iterable[EntryPath]) -> list[str]:
    return [_to_text(path) for path in sorted(paths)]


def _paths_from_json(paths: Iterable[str]) -> frozenset[EntryPath]:
    return frozenset(_from_text(path) for path in paths)


def _to_text(name: str) -> str:
    # The file system encoding is the caller's locale; the record is read under any.
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def _from_text(text: str) -> EntryPath:
    return EntryPath(os.fsdecode(text.encode("utf-8", "surrogateescape")))
