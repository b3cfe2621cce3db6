"""A SHA-256 that a thread of its own makes, beside who writes the same bytes to a pipe."""

from functools import partial

from rootrun.image.block_pool import BlockPool, PackedBlock, usable_processors
from rootrun.sha256 import Sha256

_NOTHING = PackedBlock(b"", b"")


class SideHash:
    """A SHA-256 in the making. Few pieces wait for it, so that memory does not grow.

    ``close`` ends its thread, and must come before this process forks.
    """

    def __init__(self) -> None:
        self._hash = Sha256()
        self._pool = BlockPool(1 if usable_processors() > 1 else 0)

    def update(self, content: bytes | memoryview) -> None:
        """Take the next piece, which must not change any more."""
        self._pool.submit(partial(self._add, content))
        self._pool.results()

    def hexdigest(self) -> str:
        """Return the hexadecimal digits for what was taken so far."""
        self._pool.results(left=0)
        return self._hash.hexdigest()

    def close(self) -> None:
        """End the thread."""
        self._pool.close()

    def _add(self, content: bytes | memoryview) -> PackedBlock:
        self._hash.update(content)
        return _NOTHING
