"""Looking after the cache: what is in it, whether it is whole, and making it smaller."""

import hashlib
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from rootrun.dataclass import dataclass, replace
from rootrun.errors import RootrunError, StoreError
from rootrun.layer.checksum import checksum_tree
from rootrun.layer.record import LayerRecord
from rootrun.layer.removal import remove_tree
from rootrun.store.blob_entry import BLOB, FORM_OF_BLOB
from rootrun.store.compressed_store import COMPRESSED, CompressedRecord, read_compressed
from rootrun.store.entry import FORM_OF_LAYER, RECORD, TREE, problem_of, read_record
from rootrun.store.layer_store import (
    LAYERS,
    LOCKS,
    STORE_LOCK,
    UNMARKED,
    VERIFIED,
    check_owner,
    check_private,
)
from rootrun.store.lock import locked, try_locked
from rootrun.store.step_store import STEPS, StepRecord, read_step
from rootrun.store.trust import is_trusted, mark_synced

_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedLayer:
    """An entry of the cache. ``problem`` says what is wrong with it, None for nothing."""

    id_map: str | None  # under which it is unpacked; None: packed
    is_step: bool  # packed, and what a step made; else packed, and blocks to compress others by
    key: str  # what it is called in the cache
    diff_id: str  # empty where the record does not tell
    size_bytes: int
    entry_count: int
    last_used_s: float
    is_trusted: bool
    problem: str | None = None


def list_entries(directory: Path) -> list[CachedLayer]:
    """Return the layers in the cache, least recently used first; reads no content."""
    with _told(directory):
        if directory.exists():
            _check(directory)
        entries = [_describe(path) for path in _paths(directory)]
    return sorted(entries, key=lambda entry: (entry.last_used_s, entry.key))


def verify_entries(directory: Path, *, id_maps: Collection[str]) -> Iterator[CachedLayer]:
    """Yield each entry after reading all of it; remove the damaged, with a ``problem``.

    Entries that are whole are synced to the disk and trusted in later boots too.
    Must run inside one of ``id_maps``; what was unpacked under others has a
    ``problem`` and stays. Waits for running runs.
    """
    _require(directory)
    with _told(directory), locked(directory / LOCKS / STORE_LOCK, exclusive=True):
        os.sync()
        for path in _paths(directory):
            yield _verify(path, id_maps)


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
    layers, packed = directory / LAYERS, (directory / STEPS, directory / COMPRESSED)
    kinds = [*(layers.iterdir() if layers.is_dir() else ()), *packed]
    return sorted(path for kind in kinds if kind.is_dir() for path in kind.iterdir())


def _verify(path: Path, id_maps: Collection[str]) -> CachedLayer:
    entry = _describe(path)
    if entry.id_map is not None and entry.id_map.removesuffix(UNMARKED) not in id_maps:
        return replace(entry, problem="made by other ids than those here", is_trusted=False)
    problem = entry.problem or _damage(path)
    if problem is None:
        mark_synced(path)
        return replace(entry, is_trusted=True)
    try:
        _remove(path)
    except StoreError as error:
        problem = f"{problem}; {error}"
    return replace(entry, problem=problem, is_trusted=False)


def _describe(path: Path) -> CachedLayer:
    size_bytes = entry_count = 0
    last_used_s = 0.0
    is_packed = _is_packed(path)
    diff_id = "" if is_packed else f"sha256:{path.name.strip('.').partition('.')[0]}"
    problem = problem_of(path, FORM_OF_BLOB if is_packed else FORM_OF_LAYER)
    if path.name.startswith("."):
        problem = "left unfinished by a run that was killed"
    if problem is None:
        last_used_s = (path / RECORD).stat().st_mtime
        try:
            record = _read_packed(path) if is_packed else read_record(path)
            size_bytes, entry_count = record.size_bytes, record.entry_count
            diff_id = diff_id if isinstance(record, LayerRecord) else record.diff_id
        except StoreError as error:
            problem = str(error)
    return CachedLayer(
        id_map=None if is_packed else path.parent.name,
        is_step=path.parent.name == STEPS,
        key=path.name,
        diff_id=diff_id,
        size_bytes=size_bytes,
        entry_count=entry_count,
        last_used_s=last_used_s,
        is_trusted=problem is None and is_trusted(path),
        problem=problem,
    )


def _is_packed(path: Path) -> bool:
    return path.parent.name in (STEPS, COMPRESSED)


def _read_packed(path: Path) -> StepRecord | CompressedRecord:
    return read_step(path) if path.parent.name == STEPS else read_compressed(path)


def _damage(path: Path) -> str | None:
    if _is_packed(path):
        return _damage_of_blob(path)
    try:
        tree_fd = os.open(path / TREE, _OPEN_DIRECTORY)
        try:
            checksum = checksum_tree(tree_fd)
        finally:
            os.close(tree_fd)
    except OSError as error:
        return f"{error.filename or TREE}: {error.strerror}"
    except RootrunError as error:
        return str(error)
    is_whole = checksum == read_record(path).checksum
    return None if is_whole else "the tree is not as it was unpacked"


def _damage_of_blob(path: Path) -> str | None:
    try:
        with (path / BLOB).open("rb") as blob:
            digest = f"sha256:{hashlib.file_digest(blob, 'sha256').hexdigest()}"
    except OSError as error:
        return f"{BLOB}: {error.strerror}"
    return None if digest == _read_packed(path).digest else "the blob is not as it was packed"


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
    with _told(directory):
        _check(directory)


def _check(directory: Path) -> None:
    """Raise StoreError for a part that leads elsewhere: what is there is not ours to remove."""
    check_owner(directory)
    layers = directory / LAYERS
    for part in (LAYERS, STEPS, COMPRESSED, LOCKS, VERIFIED):
        if os.path.lexists(directory / part):
            check_private(directory / part)
    for kind in layers.iterdir() if layers.is_dir() else ():
        if kind.is_dir():
            check_private(kind)
