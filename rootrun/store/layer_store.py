"""The cache of unpacked layers: one directory per layer and kind of id map.

::

    CACHE/                        0700, the caller's
      layers-2/KIND/KEY/tree/     the layer, as overlayfs takes it
      layers-2/KIND/KEY/record.json   what the disk cannot hold of it
      layers-2/KIND/KEY/made.json     the boot of its making
      layers-2/KIND/.KEY.making/  a layer on its way, or left by a dead run
      layers-2/KIND-unmarked/     those made where the file system has no whiteouts
      whiteout                    is seen where those of the layers are
      locks/                      one lock a layer, and one of the whole
      verified/                   which blobs were read and found good
      scratch/                    of runs, unless TMPDIR says otherwise

KEY is the diff_id's hexadecimal digits. The 2 is the version of this form; a
new version leaves the old one alone.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rootrun import log
from rootrun.errors import StoreError, told_as
from rootrun.layer.metadata import is_whiteout, make_whiteout
from rootrun.layer.record import LayerRecord
from rootrun.layer.removal import remove_tree
from rootrun.layer.stack import UnpackedLayer
from rootrun.store.entry import FORM_OF_LAYER, RECORD, TREE, problem_of, read_record, write_record
from rootrun.store.lock import locked, try_locked
from rootrun.store.private import (
    OTHERS_WRITE,
    is_own_directory,
    is_private_directory,
    make_private_directory,
)
from rootrun.store.trust import is_trusted, mark_made

LAYERS = "layers-2"
UNMARKED = "-unmarked"
LOCKS = "locks"
STORE_LOCK = "store"
VERIFIED = "verified"
WHITEOUT = "whiteout"

_RANDOM_BYTES = 6
_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class LayerStore:
    """The layers unpacked under one kind of id map. Use it inside that id map only."""

    def __init__(self, directory: Path, *, kind: str, aside: Path | None = None) -> None:
        self.directory = directory
        self._aside = aside
        self._layers = directory / LAYERS / kind
        self._kind = kind

    def fetch(self, key: str, unpack: Callable[[int], LayerRecord]) -> UnpackedLayer:
        """Return the layer ``key``, calling ``unpack`` with a new directory's fd if it is missing.

        Concurrent runs share one extraction: the others wait for it. ``unpack``
        must verify what it unpacks; if it raises, nothing is kept. A layer that is
        not trusted, or whose record is damaged, is made again. Raises StoreError
        if the cache cannot be read or written.
        """
        return self.find(key) or self.make(key, unpack)

    def find(self, key: str) -> UnpackedLayer | None:
        """Return the layer ``key``, None if it is missing or to be made again. Waits for nobody."""
        entry = self._layers / key
        with told_as(StoreError, "use the cache", entry):
            return _load(entry)

    def make(self, key: str, unpack: Callable[[int], LayerRecord]) -> UnpackedLayer:
        """Do as ``fetch`` does, for a layer that ``find`` did not."""
        entry = self._layers / key
        with (
            told_as(StoreError, "use the cache", entry),
            locked(self._lock_path(key), exclusive=True),
        ):
            return _load(entry) or self._make(entry, unpack)

    def has(self, key: str) -> bool:
        """Say whether the layer ``key`` need not be made; ``fetch`` may find otherwise."""
        entry = self._layers / key
        return problem_of(entry, FORM_OF_LAYER) is None and is_trusted(entry)

    def sweep(self, key: str) -> None:
        """Remove what a process that was killed left of the layer ``key``, unless it is made now.

        What cannot be removed is left to who makes the layer next.
        """
        with suppress(OSError), try_locked(self._lock_path(key)) as is_ours:
            if is_ours:
                layers_fd = os.open(self._layers, _OPEN_DIRECTORY)
                try:
                    remove_tree(_making_name(key), directory_fd=layers_fd)
                finally:
                    os.close(layers_fd)

    def _make(self, entry: Path, unpack: Callable[[int], LayerRecord]) -> UnpackedLayer:
        making = entry.with_name(_making_name(entry.name))
        layers_fd = os.open(self._layers, _OPEN_DIRECTORY)
        try:
            # Whoever made these is dead, since the lock is ours; or they are of another boot.
            remove_tree(making.name, directory_fd=layers_fd)
            remove_tree(entry.name, directory_fd=layers_fd)
            try:
                record = _fill(making, unpack, key=entry.name)
                os.rename(making, entry)
            except BaseException:
                self._discard(making.name, layers_fd)
                raise
        finally:
            os.close(layers_fd)
        log.debug("cached layer %s for id map %s", entry.name, self._kind)
        return UnpackedLayer(tree=entry / TREE, record=record)

    def _discard(self, name: str, layers_fd: int) -> None:
        """Remove what a run has made in vain, or set it aside: then its end need not wait."""
        if self._aside is not None:
            discarded = self._aside / f"discarded-{os.urandom(_RANDOM_BYTES).hex()}"
            with suppress(OSError):  # EXDEV, where it is on another file system
                os.rename(name, discarded, src_dir_fd=layers_fd)
        remove_tree(name, directory_fd=layers_fd)

    def _lock_path(self, key: str) -> Path:
        return self.directory / LOCKS / f"{self._kind}.{key}"


def _making_name(key: str) -> str:
    return f".{key}.making"


def _fill(making: Path, unpack: Callable[[int], LayerRecord], *, key: str) -> LayerRecord:
    """Make the directory of the entry ``key`` with all that belongs into it."""
    make_private_directory(making)
    tree = making / TREE
    tree.mkdir()
    tree_fd = os.open(tree, _OPEN_DIRECTORY)
    try:
        record = unpack(tree_fd)
    finally:
        os.close(tree_fd)
    write_record(making, record, key=key)
    mark_made(making)
    return record


def _load(entry: Path) -> UnpackedLayer | None:
    """Return the layer at ``entry``, None if it is missing or not to be trusted."""
    if not os.path.lexists(entry):
        return None
    problem = problem_of(entry, FORM_OF_LAYER)
    if problem is None:
        if not is_trusted(entry):
            return None
        try:
            record = read_record(entry)
        except StoreError as error:
            problem = str(error)
        else:
            os.utime(entry / RECORD)  # the last use, for pruning
            return UnpackedLayer(tree=entry / TREE, record=record)
    log.warning("the cache is damaged, unpacking again: %s: %s", entry, problem)
    return None


@contextmanager
def open_store(directory: Path, *, kind: str, aside: Path | None = None) -> Iterator[LayerStore]:
    """Open the cache at ``directory`` for runs under the id map ``kind``, making it if need be.

    While it is open, nobody prunes it. What fails to be made in it is moved to ``aside``, if that
    is given and on the same file system; the caller removes it. Raises StoreError if it cannot be
    written or is not the caller's: its content would not be trustworthy.
    """
    with open_cache(directory):
        with _told(directory):
            kind = _prepare(directory, kind=kind)
        yield LayerStore(directory, kind=kind, aside=aside)


@contextmanager
def open_cache(directory: Path) -> Iterator[None]:
    """Open the cache at ``directory`` for all but unpacked layers, making it if need be.

    While it is open, nobody prunes it. Needs no id map. Raises StoreError as ``open_store`` does.
    """
    with ExitStack() as cleanup:
        with _told(directory):
            make_private_directory(directory)
            check_owner(directory)
            _keep_others_out(directory)
            _make_parts(directory / LOCKS, directory / VERIFIED)
            cleanup.enter_context(locked(directory / LOCKS / STORE_LOCK, exclusive=False))
        yield


@contextmanager
def _told(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        path = error.filename or directory
        raise StoreError(f"open the cache: {path}: {error.strerror}") from error


def _make_parts(*parts: Path) -> None:
    for part in parts:
        make_private_directory(part)
        check_private(part)


def _prepare(directory: Path, *, kind: str) -> str:
    """Make the directories, and return the name of that in which the layers are."""
    if not _shows_whiteouts(directory):
        kind += UNMARKED
    layers = directory / LAYERS / kind
    _make_parts(directory / LAYERS, layers)
    if not is_own_directory(layers):
        raise StoreError(f"open the cache: {layers}: not writable")
    return kind


def check_owner(directory: Path) -> None:
    """Raise StoreError if the cache, to which a symlink may lead, is not the caller's."""
    if os.stat(directory).st_uid != os.geteuid():
        raise StoreError(f"open the cache: {directory}: belongs to another user")


def check_private(part: Path) -> None:
    """Raise StoreError if ``part`` of the cache can be of somebody else's making."""
    if not is_private_directory(part):
        raise StoreError(f"open the cache: {part}: is not a directory of this user's alone")


def _keep_others_out(directory: Path) -> None:
    """Take from others the right to put something in place of the parts of the cache."""
    mode = stat.S_IMODE(os.stat(directory).st_mode)
    if mode & OTHERS_WRITE:
        log.warning("the cache was open to others, and is now this user's alone: %s", directory)
        directory.chmod(mode & ~OTHERS_WRITE)


def _shows_whiteouts(directory: Path) -> bool:
    """Say whether the file system of the cache, as it is mounted here, has whiteouts.

    An overlay can make none, and hides those on the file system below it: a cache that it shows
    would have back what its layers delete.
    """
    witness = directory / WHITEOUT
    try:
        return is_whiteout(os.lstat(witness))
    except FileNotFoundError:
        pass
    try:
        return make_whiteout(witness)
    except FileExistsError:  # another run was faster
        return True
