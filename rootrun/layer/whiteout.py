"""Whiteouts: the names by which a layer hides what lower layers have (image-spec, layer.md)."""

from enum import Enum

from rootrun.errors import LayerError
from rootrun.layer.entry import Entry, EntryPath, EntryType, join, parent
from rootrun.namedtuple import NamedTuple

WHITEOUT_PREFIX = ".wh."
OPAQUE_MARKER = ".wh..wh..opq"

_MODE = 0o644
_AUFS_PREFIX = ".wh..wh."  # aufs kept its own state under such names: .wh..wh.plnk, .wh..wh.aufs


class MarkerKind(Enum):
    """What a marker asks for."""

    WHITEOUT = "whiteout"  # nothing of the lower layers at the path
    OPAQUE = "opaque"  # nothing of the lower layers in the directory at the path
    IGNORED = "ignored"  # a leftover of aufs


class Marker(NamedTuple):
    """A marker's meaning; ``path`` is what it is about, not its own name."""

    kind: MarkerKind
    path: EntryPath


def whiteout_entry(path: EntryPath, *, mtime_s: int) -> Entry:
    """Return the entry of the whiteout named ``path``."""
    return Entry(path=path, type=EntryType.FILE, mode=_MODE, mtime_s=mtime_s)


def parse_marker(path: EntryPath) -> Marker | None:
    """Return what the name ``path`` asks for, None for the name of an ordinary entry.

    Raises LayerError for a marker that names nothing, ``.`` or ``..``, and for an
    entry below a marker: no file can have such a name (layer.md, Whiteouts).
    """
    if WHITEOUT_PREFIX not in path:
        return None
    directory = parent(path)
    name = path.rpartition("/")[2]
    if any(part.startswith(WHITEOUT_PREFIX) for part in directory.split("/")):
        if any(part.startswith(_AUFS_PREFIX) for part in directory.split("/")):
            return Marker(MarkerKind.IGNORED, path)
        raise LayerError(f"unpack layer: {path!r}: is below a whiteout")
    if not name.startswith(WHITEOUT_PREFIX):
        return None
    if name == OPAQUE_MARKER:
        return Marker(MarkerKind.OPAQUE, directory)
    if name.startswith(_AUFS_PREFIX):
        return Marker(MarkerKind.IGNORED, path)
    hidden = name[len(WHITEOUT_PREFIX) :]
    if hidden in ("", ".", ".."):
        raise LayerError(f"unpack layer: {path!r}: is a whiteout of no name")
    return Marker(MarkerKind.WHITEOUT, join(directory, hidden))
