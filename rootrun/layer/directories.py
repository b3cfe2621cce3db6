"""Modes and times of a layer's directories, set when nothing is made in them any more."""

import os
import stat

from rootrun.layer.attributes import set_directory_mode
from rootrun.layer.checksum import held_of
from rootrun.layer.entry import ROOT, EntryPath, EntryType, parent
from rootrun.layer.ledger import Ledger
from rootrun.layer.metadata import kept_xattrs
from rootrun.layer.record import Recorded

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def finish_directories(tree_fd: int, ledger: Ledger) -> None:
    """Give all directories of ``ledger`` their modes and times, children first.

    One walk with two descriptors, whatever the depth: the way up is ``..``.
    """
    here, fd = ROOT, os.open(".", _OPEN_DIRECTORY, dir_fd=tree_fd)
    try:
        paths = sorted(ledger.directories, key=_tree_order)
        for path, following in zip(paths, [*paths[1:], ROOT], strict=True):
            if path == ROOT:
                continue
            while here != parent(path):
                here, fd = _leave(here, fd, ledger)
            below_fd = os.open(path.rpartition("/")[2], _OPEN_DIRECTORY, dir_fd=fd)
            if parent(following) == path:
                os.close(fd)
                here, fd = path, below_fd
            else:  # most have no directory in them, and no way up is needed
                _finish_and_close(path, below_fd, ledger)
        while here != ROOT:
            here, fd = _leave(here, fd, ledger)
        _finish(ROOT, fd, ledger)
    finally:
        os.close(fd)


def _tree_order(path: EntryPath) -> str:
    # With "/" as it is, "a-b" would stand between "a" and "a/b".
    return path.replace("/", "\0")


def _leave(path: EntryPath, fd: int, ledger: Ledger) -> tuple[EntryPath, int]:
    if path == ROOT:
        raise AssertionError("a directory without its parent in the ledger")
    # First up, then the mode: there is no way out of a directory of mode 000.
    above_fd = os.open("..", _OPEN_DIRECTORY, dir_fd=fd)
    try:
        _finish(path, fd, ledger)
    except OSError:
        os.close(above_fd)
        raise
    os.close(fd)
    return parent(path), above_fd


def _finish_and_close(path: EntryPath, fd: int, ledger: Ledger) -> None:
    try:
        _finish(path, fd, ledger)
    finally:
        os.close(fd)


def _finish(path: EntryPath, fd: int, ledger: Ledger) -> None:
    wanted = ledger.directories[path]
    status = os.fstat(fd)
    mode = stat.S_IMODE(status.st_mode)
    if mode != wanted.mode:
        mode = set_directory_mode(fd, wanted.mode)
    time_ns = wanted.mtime_s * 1_000_000_000
    os.utime(fd, ns=(time_ns, time_ns))
    held = held_of(fd, status, may_have_xattrs=path == ROOT or path in ledger.with_xattrs)
    ledger.add_other(path, st_mode=stat.S_IFDIR | mode, mtime_s=wanted.mtime_s, held=held)
    if mode != wanted.mode and path not in ledger.entries:
        xattrs = kept_xattrs(fd)
        recorded = Recorded(
            EntryType.DIRECTORY, wanted.mode, status.st_uid, status.st_gid, xattrs=xattrs
        )
        ledger.record(path, recorded)
