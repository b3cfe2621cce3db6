"""The base as the diff sees it: the kernel's merged view, put right by the records."""

import os
import stat

from rootrun.layer.compare import BaseEntry
from rootrun.layer.entry import DEVICE_TYPES, EntryPath, parent
from rootrun.layer.metadata import entry_of
from rootrun.layer.stack import LayerStack


class BaseView:
    """A ``layer.diff.Base`` over a stack whose merged view is mounted.

    ``root_status`` is lstat(2) of the upper's root as it was made.
    """

    def __init__(self, stack: LayerStack, *, root_status: os.stat_result) -> None:
        self._stack = stack
        self._root_status = root_status
        self._device_names = DeviceNames(stack)

    def root(self) -> BaseEntry:
        """Return the root directory of the image."""
        return BaseEntry(self._stack.root(), self._root_status)

    def lookup(self, path: EntryPath, *, directory_fd: int) -> BaseEntry | None:
        """Return what the image has at ``path``."""
        name = path.rpartition("/")[2]
        try:
            status = os.lstat(name, dir_fd=directory_fd)
        except FileNotFoundError:
            status = None
        if path in self._stack.recorded:
            found = self._stack.find(path)
            return None if found is None else BaseEntry(found.entry, status, disk_xattrs=False)
        if status is None:
            return None
        target = os.readlink(name, dir_fd=directory_fd) if stat.S_ISLNK(status.st_mode) else ""
        return BaseEntry(entry_of(path, status, link_target=target), status)

    def names(self, path: EntryPath, *, directory_fd: int) -> list[str]:
        """Return the names in ``path``, the devices that the disk does not hold among them."""
        return sorted({*os.listdir(directory_fd), *self._device_names.of(path)})


class DeviceNames:
    """The devices of an image by directory; found out when first asked for."""

    def __init__(self, stack: LayerStack) -> None:
        self._stack = stack
        self._names: dict[EntryPath, list[str]] | None = None

    def of(self, directory: EntryPath) -> list[str]:
        """Return the names of the devices in ``directory``."""
        if self._names is None:
            self._names = {}
            for path in self._stack.devices:
                found = self._stack.find(path)
                if found is not None and found.entry.type in DEVICE_TYPES:
                    self._names.setdefault(parent(path), []).append(path.rpartition("/")[2])
        return self._names.get(directory, [])
