"""Looking after the cache: what is in it, whether it is whole, and making it smaller."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rootrun.errors import RootrunError, StoreError
from rootrun.layer.checksum import checksum_tree
from rootrun.layer.record import LayerRecord
from rootrun.layer.removal import remove_tree
from rootrun.store.layer_store import LAYERS, LOCKS, RECORD, STORE_LOCK, TREE, VERIFIED
from rootrun.store.lock import locked, try_locked
from rootrun.store.trust import is_trusted, mark_synced

_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLayer:
    """An entry of the cache. ``problem`` says what is wrong with it, None for nothing."""

    id_map: str
    key: str  # the hexadecimal digits of the diff_id
    size_bytes: int
    entry_count: int
    last_used_s: float
    is_trusted: bool
    problem: str | None = None


def list_entries(directory: Path) -> list[CachedLayer]:
    """Return the unpacked layers in the cache, least recently used first; reads no content."""
    with _told(directory):
        entries = [_describe(path) for path in _paths(directory)]
    return sorted(entries, key=lambda entry: (entry.last_used_s, entry.key))


def verify_entries(directory: Path) -> Iterator[CachedLayer]:
    """Yield each entry after reading its whole tree; remove the damaged, with a ``problem``.

    Entries that are whole are synced to the disk and trusted in later boots too.
    Must run inside an id map that has the ids of the trees; what it cannot read
    has a ``problem`` and stays. Waits for running runs.
    """
    _require(directory)
    with _told(directory), locked(directory / LOCKS / STORE_LOCK, exclusive=True):
        os.sync()
        for path in _paths(directory):
            yield _verify(path)


def prune_entries(directory: Path, *, unused_for_s: float) -> list[CachedLayer]:
    """Remove the entries that were last used longer ago, and return them.

    Raises StoreError while a run uses the cache.
    """
    _require(directory)
    with _told(directory), try_locked(directory / LOCKS / STORE_LOCK) as is_ours:
        if not is_ours:
            raise StoreError(f"prune the cache: {directory}: a run is using it")
        limit_s = time.time() - unused_for_s
        pruned = []
        for path in _paths(directory):
            entry = _describe(path)
            if entry.last_used_s <= limit_s:
                _remove(path)
                (directory / LOCKS / f"{path.parent.name}.{path.name}").unlink(missing_ok=True)
                pruned.append(entry)
        _forget_verified(directory, limit_s)
        return pruned


def _paths(directory: Path) -> list[Path]:
    kinds = directory / LAYERS
    if not kinds.is_dir():
        return []
    return sorted(path for kind in kinds.iterdir() if kind.is_dir() for path in kind.iterdir())


def _verify(path: Path) -> CachedLayer:
    entry = _describe(path)
    try:
        problem = entry.problem or _damage(path)
    except PermissionError as error:
        # Not damage: files of ids that this namespace has not.
        return replace(entry, problem=f"{error.filename}: made by other ids than those here")
    if problem is None:
        mark_synced(path)
    else:
        _remove(path)
    return replace(entry, problem=problem, is_trusted=problem is None)


def _describe(path: Path) -> CachedLayer:
    size_bytes = entry_count = 0
    last_used_s = 0.0
    problem = None
    try:
        last_used_s = (path / RECORD).stat().st_mtime
        record = LayerRecord.from_bytes((path / RECORD).read_bytes())
        size_bytes, entry_count = record.size_bytes, record.entry_count
    except OSError as error:
        problem = f"{RECORD}: {error.strerror}"
    except StoreError as error:
        problem = str(error)
    if path.name.startswith("."):
        problem = "left unfinished by a run that was killed"
    return CachedLayer(
        id_map=path.parent.name,
        key=path.name,
        size_bytes=size_bytes,
        entry_count=entry_count,
        last_used_s=last_used_s,
        is_trusted=is_trusted(path),
        problem=problem,
    )


def _damage(path: Path) -> str | None:
    try:
        record = LayerRecord.from_bytes((path / RECORD).read_bytes())
        tree_fd = os.open(path / TREE, _OPEN_DIRECTORY)
        try:
            checksum = checksum_tree(tree_fd)
        finally:
            os.close(tree_fd)
    except PermissionError:
        raise
    except OSError as error:
        return f"{error.filename or TREE}: {error.strerror}"
    except RootrunError as error:
        return str(error)
    return None if checksum == record.checksum else "the tree is not as it was unpacked"


def _remove(path: Path) -> None:
    parent_fd = os.open(path.parent, _OPEN_DIRECTORY)
    try:
        remove_tree(path.name, directory_fd=parent_fd)
    except OSError as error:
        raise StoreError(f"remove from the cache: {path}: {error.strerror}") from error
    finally:
        os.close(parent_fd)


def _forget_verified(directory: Path, limit_s: float) -> None:
    for memory in (directory / VERIFIED).iterdir():
        if memory.stat().st_mtime <= limit_s:
            memory.unlink(missing_ok=True)


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        path = error.filename or directory
        raise StoreError(f"use the cache: {path}: {error.strerror}") from error


def _require(directory: Path) -> None:
    if not (directory / LOCKS).is_dir():
        raise StoreError(f"open the cache: {directory}: there is no cache")
