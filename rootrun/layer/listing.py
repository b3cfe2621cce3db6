"""All of a merged tree, as entries in the order of a layer."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from rootrun.layer.diff import Base, Change
from rootrun.layer.entry import ROOT, EntryPath, EntryType, join, name_bytes
from rootrun.layer.metadata import kept_xattrs

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WITH_XATTRS = (EntryType.FILE, EntryType.DIRECTORY)


def list_tree(root_fd: int, base: Base, *, mtime_s: int) -> Iterator[Change]:
    """Yield every path of the tree at ``root_fd``, the root first, with its true metadata.

    Depth first, names by their bytes. Hard links come as full files. The
    caller keeps ``root_fd``.
    """
    with ExitStack() as cleanup:
        pending: list[tuple[EntryPath, int]] = []
        root = base.root().entry
        yield Change(replace(root, mtime_s=mtime_s))
        top = os.dup(root_fd)
        cleanup.callback(os.close, top)
        names = [_names(base, ROOT, top)]
        pending.append((ROOT, top))
        while pending:
            path, directory_fd = pending[-1]
            if not names[-1]:
                names.pop()
                pending.pop()
                if pending:
                    os.close(directory_fd)
                continue
            name = names[-1].pop()
            change = _change(base, join(path, name), directory_fd, name, mtime_s=mtime_s)
            if change is None:
                continue
            yield change
            if change.entry.type is EntryType.DIRECTORY:
                child_fd = os.open(name, _OPEN | os.O_DIRECTORY, dir_fd=directory_fd)
                pending.append((change.entry.path, child_fd))
                names.append(_names(base, change.entry.path, child_fd))


def _names(base: Base, path: EntryPath, directory_fd: int) -> list[str]:
    """Return the names in a directory, the last first."""
    return sorted(base.names(path, directory_fd=directory_fd), key=name_bytes, reverse=True)


def _change(
    base: Base, path: EntryPath, directory_fd: int, name: str, *, mtime_s: int
) -> Change | None:
    below = base.lookup(path, directory_fd=directory_fd)
    if below is None:
        return None
    entry = replace(below.entry, mtime_s=mtime_s)
    if below.disk_xattrs and entry.type in _WITH_XATTRS:
        descriptor = os.open(name, _OPEN, dir_fd=directory_fd)
        try:
            entry = replace(entry, xattrs=kept_xattrs(descriptor))
        finally:
            os.close(descriptor)
    return Change(entry, directory_fd, name)
