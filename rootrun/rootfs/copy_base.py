"""The base as the diff of a copy sees it: the layers themselves, and what they were copied to."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rootrun.layer.compare import BaseEntry
from rootrun.layer.content import same_content
from rootrun.layer.entry import ROOT, EntryPath, EntryType, join
from rootrun.layer.reach import reach
from rootrun.layer.stack import Content, Found, LayerStack
from rootrun.rootfs.base_view import DeviceNames
from rootrun.rootfs.copy_scan import Touched
from rootrun.rootfs.copy_table import CopyTable, Held

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPENED = (EntryType.FILE, EntryType.DIRECTORY)


class NoPlace:
    """A ``layer.diff.Below`` for a base that is no tree of its own."""

    fd = -1

    def enter(self, name: str) -> None:
        """Go nowhere."""

    def leave(self) -> None:
        """Go nowhere."""


class CopyBase:
    """A ``layer.diff.Base`` over ``stack``, of which ``table`` is the copy.

    ``root_status`` is lstat(2) of the copy's root as it was made, ``nothing`` a directory without
    extended attributes.
    """

    def __init__(
        self,
        stack: LayerStack,
        table: CopyTable,
        touched: Touched,
        *,
        root_status: os.stat_result,
        nothing: Path,
    ) -> None:
        self._stack = stack
        self._table = table
        self._touched = touched
        self._root_status = root_status
        self._nothing = nothing
        self._device_names = DeviceNames(stack)

    def root(self) -> BaseEntry:
        """Return the root directory of the image."""
        found = self._stack.find(ROOT)
        opener = partial(os.open, self._nothing, _OPEN) if found is None else _opener(found)
        return BaseEntry(self._stack.root(), self._root_status, is_own=True, opener=opener)

    def lookup(self, path: EntryPath, *, directory_fd: int) -> BaseEntry | None:  # noqa: ARG002 # the layers are asked
        """Return what the image has at ``path``."""
        found = self._stack.find(path)
        if found is None:
            return None
        stamp = self._table.find(path)
        return BaseEntry(
            found.entry,
            None if stamp is None or stamp.is_stub else _status(stamp.inode, stamp.held),
            disk_xattrs=path not in self._stack.recorded,
            is_own=path in self._touched.own,
            opener=_opener(found) if found.entry.type in _OPENED else None,
        )

    def names(self, path: EntryPath, *, directory_fd: int) -> list[str]:  # noqa: ARG002 # the table is asked
        """Return the names in ``path``, the devices that the disk does not hold among them."""
        copied = {
            name
            for name, stamp in self._table.directories.get(path, {}).items()
            if not stamp.is_stub or self._stack.find(join(path, name)) is not None
        }
        return sorted(copied.union(self._device_names.of(path)))


def is_written(stack: LayerStack, path: EntryPath, directory_fd: int, name: str) -> bool:
    """Say whether ``name`` in ``directory_fd`` has another content than ``path`` in ``stack``."""
    found = stack.find(path)
    if found is None or found.entry.type is not EntryType.FILE:
        return os.lstat(name, dir_fd=directory_fd).st_size > 0  # it stands for a device
    base_fd = _open(found.content)
    try:
        return not same_content(name, base_fd, directory_fd=directory_fd)
    finally:
        os.close(base_fd)


def _opener(found: Found) -> Callable[[], int]:
    return partial(_open, found.content)


def _open(content: Content) -> int:
    with reach(os.fspath(content.tree), content.path) as (directory_fd, name):
        return os.open(name, _OPEN, dir_fd=directory_fd)


def _status(inode: int, held: Held) -> os.stat_result:
    """Return what is known of a path of the copy as lstat(2) would; no size, no times."""
    return os.stat_result((held.mode, inode, 0, 1, held.uid, held.gid, 0, 0, 0, 0))
