"""An entry of a layer: a path and its metadata, as a value."""

import os
import stat
from collections.abc import Mapping
from enum import Enum

from rootrun.annotation import NewType
from rootrun.dataclass import dataclass, field

EntryPath = NewType("EntryPath", str)
"""A path inside a layer: no leading or trailing slash, no ``.`` or ``..``; ``""`` is the root.

Decoded as the file system encoding does (``os.fsdecode``), so that any bytes
survive; sorting is by ``os.fsencode`` of it.
"""

ROOT = EntryPath("")


class EntryType(Enum):
    """What an entry is; the values are the type flags of ustar (POSIX pax)."""

    FILE = b"0"
    HARDLINK = b"1"
    SYMLINK = b"2"
    CHARACTER_DEVICE = b"3"
    BLOCK_DEVICE = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


_TYPE_OF_FORMAT = {
    stat.S_IFREG: EntryType.FILE,
    stat.S_IFLNK: EntryType.SYMLINK,
    stat.S_IFCHR: EntryType.CHARACTER_DEVICE,
    stat.S_IFBLK: EntryType.BLOCK_DEVICE,
    stat.S_IFDIR: EntryType.DIRECTORY,
    stat.S_IFIFO: EntryType.FIFO,
}

DEVICE_TYPES = frozenset({EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE})
SET_ID_BITS = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a layer, without its content.

    ``mode`` holds the permission bits with setuid, setgid and sticky (07777).
    ``link_target`` is verbatim for a symlink and an entry path for a hard link.
    ``rdev`` is (major, minor). ``xattrs`` maps full names to values.
    """

    path: EntryPath
    type: EntryType
    mode: int
    uid: int = 0
    gid: int = 0
    mtime_s: int = 0
    size_bytes: int = 0
    link_target: str = ""
    rdev: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def entry_type(mode: int) -> EntryType | None:
    """Return the type that ``st_mode`` says, None for a socket (tar has no type for it)."""
    return _TYPE_OF_FORMAT.get(stat.S_IFMT(mode))


def is_kept_xattr(name: str) -> bool:
    """Say whether a layer keeps this extended attribute: capabilities and ``user.*``.

    overlayfs mounted with ``userxattr`` keeps its own state in ``user.overlay.*``;
    taken from an image it would steer the mount, written to one it would leak.
    """
    return name == "security.capability" or (
        name.startswith("user.") and not is_overlay_xattr(name)
    )


def is_overlay_xattr(name: str) -> bool:
    """Say whether overlayfs keeps its own state in this extended attribute."""
    return name.startswith("user.overlay.")


def join(directory: EntryPath, name: str) -> EntryPath:
    """Return the path of ``name`` in ``directory``."""
    return EntryPath(f"{directory}/{name}" if directory else name)


def parent(path: EntryPath) -> EntryPath:
    """Return the directory of ``path``; the root's is the root."""
    return EntryPath(path.rpartition("/")[0])


def ancestors(path: EntryPath) -> list[EntryPath]:
    """Return the directories above ``path``, outermost first, without the root."""
    parts = path.split("/")[:-1]
    return [EntryPath("/".join(parts[: count + 1])) for count in range(len(parts))]


def name_bytes(name: str) -> bytes:
    """Return the bytes by which names are sorted and written."""
    return os.fsencode(name)
