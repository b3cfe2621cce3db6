"""The cache of steps: the packed layer that a step made, by what it was made of.

::

    CACHE/
      steps-1/KEY/blob          the layer, as it stands in images
      steps-1/KEY/record.json   what it was made of, and what it is
      steps-1/KEY/made.json     the boot of its making
      steps-1/.KEY.making/      one on its way, or left by a dead run

KEY is the digest of what the layer was made of. The 1 is the version of this form.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rootrun import log
from rootrun.errors import StoreError, told_as
from rootrun.layer.seal import sealed, unsealed
from rootrun.namedtuple import NamedTuple
from rootrun.store.blob_entry import BLOB, load_entry, make_entry, remove_entry
from rootrun.store.entry import RECORD
from rootrun.store.layer_store import LOCKS, check_private
from rootrun.store.lock import locked
from rootrun.store.private import make_private_directory

STEPS = "steps-1"

_KIND = "rootrun-step-record-1"


class StepRecord(NamedTuple):
    """A layer and what it was made of."""

    inputs: Mapping[str, str]  # values, or digests of them, by what the user knows them as
    diff_id: str
    digest: str  # of the blob
    compression: str
    size_bytes: int  # of the blob
    entry_count: int  # of the tar
    losses: tuple[str, ...] = ()  # what the layer does not keep of the change

    def to_bytes(self) -> bytes:
        """Return the record as a file's content."""
        return sealed(_KIND, [dict(self.inputs), *self[1:]])

    @classmethod
    def from_bytes(cls, content: bytes) -> "StepRecord":
        """Return the record that ``to_bytes`` wrote; raise StoreError if it is damaged."""
        body = unsealed(_KIND, content)
        # The body is what to_bytes wrote; what follows cannot fail but for a checksum by accident.
        try:
            inputs, diff_id, digest, compression, size_bytes, entry_count, losses = json.loads(body)
            return cls(
                {str(name): str(value) for name, value in inputs.items()},
                diff_id,
                digest,
                compression,
                size_bytes,
                entry_count,
                tuple(losses),
            )
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(f"read cache: {_KIND}: is damaged") from error


class CachedStep(NamedTuple):
    """An entry. ``blob`` is there as long as the entry is held; its content is not verified."""

    record: StepRecord
    blob: Path


def key_of(inputs: Mapping[str, str]) -> str:
    """Return the key of the layer that is made of ``inputs``."""
    text = json.dumps(sorted(inputs.items()), separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_step(entry: Path) -> StepRecord:
    """Return the record of ``entry``; StoreError if it is damaged, or that of another one."""
    record = StepRecord.from_bytes((entry / RECORD).read_bytes())
    if key_of(record.inputs) != entry.name:
        raise StoreError("read cache: record of a step: is of another step")
    return record


class StepStore:
    """The steps in the cache ``directory``, which ``open_store`` holds meanwhile."""

    def __init__(self, directory: Path) -> None:
        self._steps = directory / STEPS
        self._locks = directory / LOCKS
        if os.path.lexists(self._steps):
            check_private(self._steps)

    @contextmanager
    def held(self, key: str) -> Iterator[CachedStep | None]:
        """Find the entry ``key`` and keep it from changing meanwhile; None if there is none.

        One that is not trusted, or whose form or record is damaged, is none.
        """
        if not (self._steps / key).is_dir():
            yield None
            return
        with locked(self._lock_path(key), exclusive=False):
            yield _load(self._steps / key)

    def keep(self, record: StepRecord, place: Callable[[Path], object]) -> None:
        """Make the entry of ``record``; ``place`` makes the file of its blob at a path.

        What another run has kept meanwhile stays. Raises StoreError; then nothing is kept.
        """
        key = key_of(record.inputs)
        with told_as(StoreError, "use the cache", self._steps / key):
            make_private_directory(self._steps)
            with locked(self._lock_path(key), exclusive=True):
                if _load(self._steps / key) is None:
                    make_entry(self._steps / key, record.to_bytes(), place)
                    log.debug("cached step %s: layer %s", key, record.diff_id)

    def discard(self, key: str) -> None:
        """Remove the entry ``key``, whose blob is damaged. Raises StoreError."""
        with (
            told_as(StoreError, "use the cache", self._steps / key),
            locked(self._lock_path(key), exclusive=True),
        ):
            remove_entry(self._steps / key)

    def records(self) -> list[StepRecord]:
        """Return the records of all entries that can be read, the one used last first."""
        found: list[tuple[float, StepRecord]] = []
        for entry in self._steps.iterdir() if self._steps.is_dir() else ():
            try:
                found.append((os.lstat(entry / RECORD).st_mtime, read_step(entry)))
            except (OSError, StoreError):
                continue
        return [record for _, record in sorted(found, key=lambda pair: pair[0], reverse=True)]

    def _lock_path(self, key: str) -> Path:
        return self._locks / f"{STEPS}.{key}"


def _load(entry: Path) -> CachedStep | None:
    record = load_entry(entry, read_step, called="step")
    return None if record is None else CachedStep(record, entry / BLOB)
