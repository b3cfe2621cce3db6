"""Entries of the cache that hold a blob, and a record of what it is."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from rootrun import log
from rootrun.annotation import TypeVar
from rootrun.errors import StoreError
from rootrun.layer.removal import remove_tree
from rootrun.store.entry import RECORD, Form, problem_of
from rootrun.store.private import make_private_directory
from rootrun.store.trust import MADE, is_trusted, mark_made

BLOB = "blob"
FORM_OF_BLOB: Form = {BLOB: stat.S_IFREG, RECORD: stat.S_IFREG, MADE: stat.S_IFREG}

_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

Record = TypeVar("Record")


def load_entry(entry: Path, read: Callable[[Path], Record], *, called: str) -> "Record | None":
    """Return what ``read`` finds in ``entry``; None if that is missing or not to be trusted.

    Damage is told; ``called`` is then made again. The caller holds the entry's lock.
    """
    if not os.path.lexists(entry):
        return None
    problem = problem_of(entry, FORM_OF_BLOB)
    if problem is None:
        if not is_trusted(entry):
            return None
        try:
            record = read(entry)
        except StoreError as error:
            problem = str(error)
        else:
            os.utime(entry / RECORD)  # the last use, for pruning
            return record
    log.warning("the cache is damaged, the %s is made again: %s: %s", called, entry, problem)
    return None


def make_entry(entry: Path, record: bytes, place: Callable[[Path], object]) -> None:
    """Make ``entry``, in the place of one that is there; ``place`` makes its blob at a path.

    The caller holds the entry's lock alone: what is half made there is of a dead run.
    """
    making = entry.with_name(f".{entry.name}.making")
    remove_entry(making)
    remove_entry(entry)
    try:
        make_private_directory(making)
        place(making / BLOB)
        (making / RECORD).write_bytes(record)
        mark_made(making)
        making.rename(entry)
    except BaseException:
        remove_entry(making)
        raise


def remove_entry(entry: Path) -> None:
    """Remove ``entry``, or nothing. The caller holds its lock alone."""
    parent_fd = os.open(entry.parent, _OPEN_DIRECTORY)
    try:
        remove_tree(entry.name, directory_fd=parent_fd)
    finally:
        os.close(parent_fd)
