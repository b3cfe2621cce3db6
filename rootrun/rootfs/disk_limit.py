"""``--disk``: how much a run may change, watched while it runs and held to when it is packed."""

import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rootrun.errors import LimitError
from rootrun.layer.diff import Change
from rootrun.layer.entry import EntryType
from rootrun.rootfs.backend import Rootfs
from rootrun.sandbox.child import ChildTask, run_in_child
from rootrun.sandbox.limits import size_text
from rootrun.sandbox.overlay import resize_tmpfs

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are (stat(2))
_PAGE_BYTES = 4096
_SHORTEST_PAUSE_S = 0.05
_COST_FACTOR = 10  # looking takes at most a tenth of the time
_DEEPEST = 200  # each level holds a descriptor; what is deeper is seen when it is packed
_SLACK_BYTES = 1 << 20
_SLACK_SHARE = 8
_SCRIPT = "script"


class DiskUse:
    """What is added to ``rootfs``, made just now."""

    def __init__(self, rootfs: Rootfs) -> None:
        self._upper = rootfs.upper
        self._at_start_bytes = self._size_bytes()  # of a copy, the whole base's

    def added_bytes(self) -> int:
        """Return what the files take that there are by now: the longer the more there are."""
        return self._size_bytes() - self._at_start_bytes

    def _size_bytes(self) -> int:
        fd = os.open(self._upper, _OPEN_DIRECTORY)
        try:
            return _size_below(fd, set(), _DEEPEST)
        finally:
            os.close(fd)


class DiskWatch:
    """Holds what ``name`` adds to ``rootfs``, made just now, against ``limit_bytes``."""

    def __init__(self, rootfs: Rootfs, limit_bytes: int, *, name: str = _SCRIPT) -> None:
        self._limit_bytes = limit_bytes
        self._name = name
        if rootfs.tmpfs is not None:
            # So much more that an end for want of room is told from others.
            slack_bytes = limit_bytes // _SLACK_SHARE + _SLACK_BYTES
            resize_tmpfs(rootfs.tmpfs, limit_bytes + slack_bytes)
        self.use = DiskUse(rootfs)

    def check(self) -> None:
        """Raise LimitError if there is more by now."""
        check_change(self.use.added_bytes(), self._limit_bytes, name=self._name)

    @contextmanager
    def watching(self) -> Iterator[ChildTask]:
        """Look, again and again, in a child that ends with LimitError, or with the block."""
        with run_in_child(self._watch, name="watch the disk") as task:
            yield task

    def _watch(self) -> None:
        while True:
            started_s = time.monotonic()
            self.check()
            cost_s = time.monotonic() - started_s
            time.sleep(max(_SHORTEST_PAUSE_S, _COST_FACTOR * cost_s))


def within(changes: Iterable[Change], limit_bytes: int) -> Iterator[Change]:
    """Yield ``changes``; raise LimitError once their files take more than ``limit_bytes``."""
    total_bytes = 0
    for change in changes:
        if change.entry.type is EntryType.FILE and change.name:
            status = os.lstat(change.name, dir_fd=change.directory_fd)
            total_bytes += _disk_bytes(status)
            check_change(total_bytes, limit_bytes)
        yield change


def check_change(size_bytes: int, limit_bytes: int, *, name: str = _SCRIPT) -> None:
    """Raise LimitError if a change of ``size_bytes`` is too large."""
    if size_bytes > limit_bytes:
        found, limit = size_text(size_bytes), size_text(limit_bytes)
        raise LimitError(f"run {name}: --disk: changed more than {limit}: {found} so far")


def _size_below(fd: int, seen: set[tuple[int, int]], levels: int) -> int:
    """Return what the files below ``fd`` take, while the script makes and removes them."""
    total_bytes = 0
    with os.scandir(fd) as scan:
        names = [child.name for child in scan]
    for name in names:
        try:
            status = os.lstat(name, dir_fd=fd)
            if stat.S_ISDIR(status.st_mode):
                total_bytes += _size_of_directory(name, fd, seen, levels - 1)
            elif status.st_nlink == 1 or (status.st_dev, status.st_ino) not in seen:
                total_bytes += _disk_bytes(status)
        except OSError:
            continue  # it is gone
        if status.st_nlink > 1:
            seen.add((status.st_dev, status.st_ino))
    return total_bytes


def _size_of_directory(name: str, at: int, seen: set[tuple[int, int]], levels: int) -> int:
    if not levels:
        return 0
    fd = os.open(name, _OPEN_DIRECTORY, dir_fd=at)
    try:
        return _size_below(fd, seen, levels)
    finally:
        os.close(fd)


def _disk_bytes(status: os.stat_result) -> int:
    """Return what a file takes: holes are nothing, and neither is what XFS takes in advance."""
    if not stat.S_ISREG(status.st_mode):
        return 0
    whole = -(-status.st_size // _PAGE_BYTES) * _PAGE_BYTES
    return min(status.st_blocks * _BLOCK_BYTES, whole)
