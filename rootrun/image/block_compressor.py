"""A compressor that cuts content into blocks, and compresses them side by side."""

from functools import partial

from rootrun.annotation import Protocol
from rootrun.image.block_formats import BlockFormat
from rootrun.image.block_pool import BlockPool, PackedBlock


class BlockMemory(Protocol):
    """Knows blocks that were compressed before. A key is the digest of what a block depends on."""

    def begin(self, key: bytes, *, offset: int) -> None:
        """Get ready for a blob of several blocks, of which ``key`` is the first, at ``offset``."""

    def recall(self, key: bytes) -> bytes | None:
        """Return the compressed form of the block ``key``, None if unknown. Any thread."""

    def note(self, block: PackedBlock) -> None:
        """Hear of each block of the blob, in order."""


class Compressor:
    """A compressor of one blob.

    The content is cut into blocks of one size, and those are compressed side by side. Memory does
    not depend on the content. A blob of one block needs no thread.
    """

    def __init__(self, blocks: BlockFormat, pool: BlockPool) -> None:
        self._format = blocks
        self._pool = pool
        self._memory: BlockMemory | None = None
        self._pieces: list[
            bytes | memoryview
        ] = []  # not yet cut; less than a block but for a while
        self._piece_bytes = 0
        self._history = memoryview(b"")
        self._is_begun = False

    def remember_with(self, memory: BlockMemory) -> None:
        """Take from ``memory`` what it knows; to be said before any content."""
        self._memory = memory

    def compress(self, content: bytes | memoryview, /) -> bytes:
        """Take content, which must not change any more; return what is ready."""
        self._format.note(content)
        self._pieces.append(content)
        self._piece_bytes += len(content)
        # More than a block: whether one is the last, and the only one, is known by what follows.
        if self._piece_bytes <= self._format.block_bytes:
            return b""
        view, size = memoryview(b"".join(self._pieces)), self._format.block_bytes
        start = 0
        ready = []
        while len(view) - start > size:
            ready.append(self._add(view[start : start + size]))
            start += size
        self._pieces, self._piece_bytes = [view[start:]], len(view) - start
        return b"".join(ready)

    def flush(self) -> bytes:
        """Return the rest, once."""
        last = memoryview(b"".join(self._pieces))
        if not self._is_begun:
            return self._format.head + self._format.pack(last, self._history) + self._format.tail()
        ready = self._add(last)
        return ready + self._ready(self._pool.results(left=0)) + self._format.tail()

    def _add(self, block: memoryview) -> bytes:
        history = self._history
        head = b"" if self._is_begun else self._begin(block)
        self._pool.submit(partial(self._packed, block, history))
        self._history = block[len(block) - self._format.history_bytes :]
        return head + self._ready(self._pool.results())

    def _begin(self, block: memoryview) -> bytes:
        self._is_begun = True
        if self._memory is not None:
            self._memory.begin(_key(self._history, block), offset=len(self._format.head))
        return self._format.head

    def _packed(self, block: memoryview, history: memoryview) -> PackedBlock:
        if self._memory is None:
            return PackedBlock(b"", self._format.pack(block, history))
        key = _key(history, block)
        return PackedBlock(key, self._memory.recall(key) or self._format.pack(block, history))

    def _ready(self, blocks: list[PackedBlock]) -> bytes:
        if self._memory is not None:
            for block in blocks:
                self._memory.note(block)
        return b"".join([block.content for block in blocks])


def _key(history: memoryview, block: memoryview) -> bytes:
    from hashlib import sha256  # loaded by now: more than one block was hashed

    digest = sha256(b"%d:" % len(history))  # where the one ends matters
    digest.update(history)
    digest.update(block)
    return digest.digest()
