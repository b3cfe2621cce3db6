"""The scratch tree of a run: where it is, how it goes, and what dead runs left."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rootrun import log
from rootrun.errors import StoreError, told_as
from rootrun.layer.removal import remove_tree
from rootrun.request import Scratch
from rootrun.sandbox.forking import signals_blocked
from rootrun.sandbox.overlay import detach_mounts_below
from rootrun.store.private import is_own_directory, make_private_directory

_PREFIX = "rootrun-"
_KEPT_PREFIX = "kept-rootrun-"
_RANDOM_BYTES = 6
_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def scratch_directory(scratch: Scratch) -> Iterator[Path]:
    """Make a directory of mode 0700 for one run, and remove it with all in it at the end.

    It is the caller's alone whatever the umask: setuid files of the image stand
    below it. With ``keep_on_failure`` a failing run leaves it, renamed, and says
    where. Leave the context with the ids that made the tree: inside the namespace.
    """
    directory = _parent_of(scratch) / f"{_PREFIX}{os.urandom(_RANDOM_BYTES).hex()}"
    lock: int | None = None
    try:
        with told_as(StoreError, "make a scratch directory", directory):
            lock = _make_locked(directory)
        yield directory
    except BaseException:
        if scratch.keep_on_failure and lock is not None:
            _keep(directory)
        raise
    finally:
        with signals_blocked():  # a second signal must not leave half of it
            detach_mounts_below(directory)
            _remove(directory)
            if lock is not None:
                os.close(lock)  # not before: nobody else tries the same


def sweep_dead(scratch: Path) -> None:
    """Remove the scratch trees beside ``scratch`` whose runs are dead.

    A run locks its tree, and the lock goes with it, also when it is killed. What
    cannot be removed, since another id map made it, stays for a run with that map.
    """
    for sibling in _siblings(scratch):
        try:
            lock = os.open(sibling, _OPEN_DIRECTORY)
        except OSError:
            continue
        try:
            if os.fstat(lock).st_uid != os.geteuid():
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            log.debug("removing the scratch tree of a dead run: %s", sibling)
            _remove(sibling)
        except OSError:
            continue
        finally:
            os.close(lock)


def _make_locked(directory: Path) -> int:
    """Make ``directory`` and return the descriptor that locks it."""
    while True:
        directory.mkdir(mode=0o700)
        try:
            directory.chmod(0o700)
            lock = os.open(directory, _OPEN_DIRECTORY)
        except FileNotFoundError:
            continue  # another run has swept it: it was not locked yet
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)


def _siblings(scratch: Path) -> list[Path]:
    with os.scandir(scratch.parent) as scan:
        return [
            scratch.parent / entry.name
            for entry in scan
            if _is_ours(entry.name) and entry.name != scratch.name
        ]


def _is_ours(name: str) -> bool:
    """Say whether a run made up ``name``: others' directories beside it are not to be swept."""
    digits = name.removeprefix(_PREFIX)
    is_random = len(digits) == 2 * _RANDOM_BYTES and set(digits) <= set("0123456789abcdef")
    return is_random and digits != name


def _parent_of(scratch: Scratch) -> Path:
    if scratch.scratch_parent is not None:
        return scratch.scratch_parent.absolute()
    if scratch.cache_directory is None:
        return Path("/tmp")
    cache = scratch.cache_directory.absolute()
    parent = cache / "scratch"
    try:
        for directory in (cache, parent):
            make_private_directory(directory)
            if not is_own_directory(directory):
                return Path("/tmp")
    except OSError:
        return Path("/tmp")
    return parent


def _keep(directory: Path) -> None:
    kept = directory.with_name(_KEPT_PREFIX + directory.name.removeprefix(_PREFIX))
    os.rename(directory, kept)
    log.warning("kept the scratch tree: %s", kept)


def _remove(directory: Path) -> None:
    try:
        parent_fd = os.open(directory.parent, _OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        try:
            remove_tree(directory.name, directory_fd=parent_fd)
        finally:
            os.close(parent_fd)
    except OSError as error:
        log.warning("remove the scratch tree: %s: %s", directory, error.strerror)
