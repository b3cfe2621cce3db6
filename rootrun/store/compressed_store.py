"""The cache of compressed layers: blocks that were compressed once are taken from there.

::

    CACHE/
      compressed-1/KEY/blob          the layer, as it stands in images
      compressed-1/KEY/record.json   what it is, and where its blocks are
      compressed-1/KEY/made.json     the boot of its making
      compressed-1/.KEY.making/      one on its way, or left by a dead run

KEY is the digest of what compressed the layer and of its first block: so one that is being packed
finds the layer that began as it does, without knowing its own diff_id, and a miss costs nothing.
What has another block after that is taken up to there, and beyond where blocks are the same
again. Of layers with the same beginning the last one is kept.
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from rootrun import log
from rootrun.annotation import Protocol
from rootrun.errors import StoreError, told_as
from rootrun.layer.seal import sealed, unsealed
from rootrun.namedtuple import NamedTuple
from rootrun.store.blob_entry import BLOB, load_entry, make_entry
from rootrun.store.entry import RECORD
from rootrun.store.layer_store import LOCKS, check_private
from rootrun.store.lock import locked
from rootrun.store.private import make_private_directory

COMPRESSED = "compressed-1"

_KIND = "rootrun-compressed-record-1"


class Block(Protocol):
    """A block that was compressed, or taken; ``key`` is the digest of what it depends on."""

    @property
    def key(self) -> bytes: ...

    @property
    def content(self) -> bytes: ...


class KnownBlock(NamedTuple):
    """A block in the blob, by the hexadecimal digests of what it is made of and of its bytes."""

    key: str
    offset: int
    size_bytes: int
    digest: str


class CompressedRecord(NamedTuple):
    """A compressed layer, and its blocks."""

    version: str  # of what compressed it
    diff_id: str
    digest: str  # of the blob
    size_bytes: int  # of the blob
    entry_count: int  # of the tar
    blocks: tuple[KnownBlock, ...]

    def to_bytes(self) -> bytes:
        """Return the record as a file's content."""
        return sealed(_KIND, [*self[:-1], [list(block) for block in self.blocks]])

    @classmethod
    def from_bytes(cls, content: bytes) -> "CompressedRecord":
        """Return the record that ``to_bytes`` wrote; raise StoreError if it is damaged."""
        body = unsealed(_KIND, content)
        try:
            version, diff_id, digest, size_bytes, entry_count, blocks = json.loads(body)
            known = tuple(KnownBlock(*block) for block in blocks)
            return cls(version, diff_id, digest, size_bytes, entry_count, known)
        except (ValueError, TypeError, RecursionError) as error:
            raise StoreError(f"read cache: {_KIND}: is damaged") from error


def key_of_layer(version: str, first_block: str) -> str:
    """Return the key of a layer that begins with ``first_block``, compressed by ``version``."""
    return hashlib.sha256(f"{version}\n{first_block}".encode()).hexdigest()


def read_compressed(entry: Path) -> CompressedRecord:
    """Return the record of ``entry``; StoreError if it is damaged, or that of another one."""
    record = CompressedRecord.from_bytes((entry / RECORD).read_bytes())
    first = record.blocks[0].key if record.blocks else ""
    if key_of_layer(record.version, first) != entry.name:
        raise StoreError("read cache: record of a compressed layer: is of another layer")
    return record


def place_compressed(
    directory: Path, name: str, *, digest: str, place: Callable[[Path], object]
) -> bool:
    """Have ``place`` take the blob of the entry ``name`` if that is ``digest``; else return False.

    The blob is not verified. What cannot be read is told, and is none.
    """
    entry = directory / COMPRESSED / name
    if not entry.is_dir():
        return False
    try:
        with told_as(StoreError, "use the cache", entry):
            check_private(entry.parent)
            with locked(directory / LOCKS / f"{COMPRESSED}.{name}", exclusive=False):
                record = load_entry(entry, read_compressed, called="compressed layer")
                if record is None or record.digest != digest:
                    return False
                place(entry / BLOB)
                return True
    except StoreError as error:
        log.warning("the layer is compressed again: %s", error)
        return False


class LayerMemory:
    """What the cache ``directory`` knows of the layer that ``version`` is compressing."""

    def __init__(self, directory: Path, version: str) -> None:
        self._compressed = directory / COMPRESSED
        self._locks = directory / LOCKS
        self._version = version
        self._known: dict[str, KnownBlock] = {}
        self._blob = -1
        self._found: list[KnownBlock] = []
        self._made: list[KnownBlock] = []
        self._taken: list[str] = []  # its length is that of all threads, as no sum would be
        self._end = 0

    def begin(self, key: bytes, *, offset: int) -> None:
        """Look for a layer whose first block is ``key``; this one's will be at ``offset``.

        What cannot be read is told, and is none.
        """
        self._end = offset
        name = key_of_layer(self._version, key.hex())
        entry = self._compressed / name
        if not entry.is_dir():
            return
        try:
            with told_as(StoreError, "use the cache", entry):
                check_private(self._compressed)
                with locked(self._lock_path(name), exclusive=False):
                    self._open(entry)
        except StoreError as error:
            log.warning("the layer is compressed again: %s", error)

    @property
    def entry_name(self) -> str:
        """The name of the entry of the layer that was compressed; empty if it is none's."""
        return key_of_layer(self._version, self._made[0].key) if self._made else ""

    def recall(self, key: bytes) -> bytes | None:
        """Return the compressed form of the block ``key``; None if unknown, or damaged."""
        block = self._known.get(key.hex())
        if block is None:
            return None
        try:
            content = os.pread(self._blob, block.size_bytes, block.offset)
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != block.digest:
            return None
        self._taken.append(block.key)
        return content

    def note(self, block: Block) -> None:
        """Hear of the next block of the layer."""
        digest = hashlib.sha256(block.content).hexdigest()
        made = KnownBlock(block.key.hex(), self._end, len(block.content), digest)
        self._made.append(made)
        self._end += made.size_bytes

    def record(
        self, *, diff_id: str, digest: str, size_bytes: int, entry_count: int
    ) -> CompressedRecord | None:
        """Return what is to be kept of the layer, which is complete; None if it is known."""
        log.debug("compressed layer: took %d of %d blocks", len(self._taken), len(self._made))
        if not self._made or (self._made == self._found and len(self._taken) == len(self._made)):
            return None
        return CompressedRecord(
            self._version, diff_id, digest, size_bytes, entry_count, tuple(self._made)
        )

    def keep(self, record: CompressedRecord, place: Callable[[Path], object]) -> None:
        """Make the entry of ``record``; ``place`` makes the file of its blob at a path.

        It takes the place of one that begins as it does. Raises StoreError; then nothing is kept.
        """
        name = key_of_layer(self._version, record.blocks[0].key)
        entry = self._compressed / name
        with told_as(StoreError, "use the cache", entry):
            make_private_directory(self._compressed)
            check_private(self._compressed)
            with locked(self._lock_path(name), exclusive=True):
                make_entry(entry, record.to_bytes(), place)
        log.debug("cached compressed layer %s", record.diff_id)

    def close(self) -> None:
        """Close the blob that was found."""
        if self._blob >= 0:
            os.close(self._blob)
            self._blob = -1

    def _open(self, entry: Path) -> None:
        record = load_entry(entry, read_compressed, called="compressed layer")
        if record is not None:
            # It can be read to its end, even if another run replaces it meanwhile.
            self._blob = os.open(entry / BLOB, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._known = {block.key: block for block in record.blocks}
            self._found = list(record.blocks)

    def _lock_path(self, name: str) -> Path:
        return self._locks / f"{COMPRESSED}.{name}"
