"""All of a merged tree, as entries in the order of a layer."""

import os
from collections.abc import Iterator

from rootrun.dataclass import replace
from rootrun.layer.cursor import Cursor
from rootrun.layer.diff import Base, Change
from rootrun.layer.entry import EntryType, join, name_bytes
from rootrun.layer.metadata import kept_xattrs

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WITH_XATTRS = (EntryType.FILE, EntryType.DIRECTORY)


def list_tree(root_fd: int, base: Base, *, mtime_s: int) -> Iterator[Change]:
    """Yield every path of the tree at ``root_fd``, the root first, with its true metadata.

    Depth first, names by their bytes. Hard links come as full files. The
    caller keeps ``root_fd``.
    """
    yield Change(replace(base.root().entry, mtime_s=mtime_s))
    with Cursor(root_fd) as here:
        waiting = [_names(base, here)]  # of each directory on the way: the names that are left
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if waiting:
                    here.leave()
                continue
            change = _change(base, here, waiting[-1].pop(), mtime_s=mtime_s)
            if change is None:
                continue
            yield change
            if change.entry.type is EntryType.DIRECTORY:
                here.enter(change.name)
                waiting.append(_names(base, here))


def _names(base: Base, here: Cursor) -> list[str]:
    """Return the names in a directory, the last first."""
    return sorted(base.names(here.path, directory_fd=here.fd), key=name_bytes, reverse=True)


def _change(base: Base, here: Cursor, name: str, *, mtime_s: int) -> Change | None:
    below = base.lookup(join(here.path, name), directory_fd=here.fd)
    if below is None:
        return None
    entry = replace(below.entry, mtime_s=mtime_s)
    if below.disk_xattrs and entry.type in _WITH_XATTRS:
        descriptor = os.open(name, _OPEN, dir_fd=here.fd)
        try:
            entry = replace(entry, xattrs=kept_xattrs(descriptor))
        finally:
            os.close(descriptor)
    return Change(entry, here.fd, name)
