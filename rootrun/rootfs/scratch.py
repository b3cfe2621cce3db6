"""The scratch tree of a run: where it is, how it goes, and what dead runs left.

Removing files can take longer than making them: a thousand of them take up to a quarter of a
second on a disk with discard. So a run removes what is small itself, and leaves what is large to a
process of low priority that goes on after it. That one has the lock of the tree, as the run had;
where it is killed, the next run finds the tree of a dead run.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rootrun import log
from rootrun.errors import StoreError, told_as
from rootrun.layer.removal import Budget, remove_tree
from rootrun.namedtuple import NamedTuple
from rootrun.request import Scratch
from rootrun.sandbox.detached import start_detached
from rootrun.sandbox.forking import signals_blocked
from rootrun.sandbox.overlay import detach_mounts_below
from rootrun.store.private import is_own_directory, make_private_directory

_PREFIX = "rootrun-"
_KEPT_PREFIX = "kept-rootrun-"
_RANDOM_BYTES = 6
_REMOVER = "rootrun-removal"
_ENTRIES_AT_ONCE = 500
_BYTES_AT_ONCE = 64 << 20  # freeing a GiB takes a third of a second
_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class _Tree(NamedTuple):
    """A scratch tree to be removed, and the descriptor that locks it."""

    directory: Path
    lock: int


@contextmanager
def scratch_directory(scratch: Scratch) -> Iterator[Path]:
    """Make a directory of mode 0700 for one run, and remove it with all in it at the end.

    What is large is gone a while later: see the module.

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
            if lock is None:
                _remove(directory)  # it may be there, empty
            else:
                detach_mounts_below(directory)
                _put_away([_Tree(directory, lock)])


def discard(directory: Path) -> None:
    """Remove ``directory`` of a scratch tree, which goes on; what is large is gone a while later.

    Raises OSError.
    """
    scratch = directory.parent
    tree = scratch.with_name(f"{_PREFIX}{os.urandom(_RANDOM_BYTES).hex()}")
    with signals_blocked():
        lock = _make_locked(tree)
        try:
            os.rename(directory, tree / directory.name)
        finally:
            _put_away([_Tree(tree, lock)])


def sweep_dead(scratch: Path) -> None:
    """Remove the scratch trees beside ``scratch`` whose runs are dead.

    A run locks its tree, and the lock goes with it, also when it is killed. What
    cannot be removed, since another id map made it, stays for a run with that map.
    What is large is gone a while later.
    """
    dead = []
    for sibling in _siblings(scratch):
        try:
            lock = os.open(sibling, _OPEN_DIRECTORY)
        except OSError:
            continue
        if _is_dead(lock):
            log.debug("removing the scratch tree of a dead run: %s", sibling)
            dead.append(_Tree(sibling, lock))
        else:
            os.close(lock)
    _put_away(dead)


def _is_dead(lock: int) -> bool:
    """Say whether the tree ``lock`` is ours and its run is dead; then it is locked for us."""
    if os.fstat(lock).st_uid != os.geteuid():
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


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


def _put_away(trees: Sequence[_Tree]) -> None:
    """Remove ``trees``, the large ones in another process, and close their locks."""
    budget = Budget(entries=_ENTRIES_AT_ONCE, size_bytes=_BYTES_AT_ONCE)
    large = [tree for tree in trees if not _remove(tree.directory, budget)]

    def remove_large() -> None:
        for directory, _ in large:
            _remove(directory)

    kept = [lock for _, lock in large]
    if large and not start_detached(remove_large, kept=kept, title=_REMOVER):
        remove_large()
    for _, lock in trees:
        os.close(lock)  # not before: nobody else tries the same


def _remove(directory: Path, budget: Budget | None = None) -> bool:
    """Remove ``directory``; return False if it is too large for ``budget``."""
    try:
        parent_fd = os.open(directory.parent, _OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        try:
            return remove_tree(directory.name, directory_fd=parent_fd, budget=budget)
        finally:
            os.close(parent_fd)
    except OSError as error:
        log.warning("remove the scratch tree: %s: %s", directory, error.strerror)
        return True  # another process could do no more
