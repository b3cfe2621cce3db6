"""Layers for tests of the cache: made by the real unpacker, and counted."""

import io
from collections.abc import Callable
from pathlib import Path

from rootrun.layer.apply import apply_layer
from rootrun.layer.record import LayerRecord
from rootrun.store.layer_store import open_store
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.unpacking import EVERY_ID

KIND = "root"
KEY = "ab" * 32
CONTENT = tarball(
    directory("d", mode=0o750), file("d/f", b"content", mode=0o640), symlink("l", "d/f")
)


def unpack(tree_fd: int) -> LayerRecord:
    """Unpack CONTENT."""
    return apply_layer(io.BytesIO(CONTENT), tree_fd=tree_fd, ids=EVERY_ID, redirects={})


class CountedUnpack:
    """Unpacks, and counts how often."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self._then = then

    def __call__(self, tree_fd: int) -> LayerRecord:
        self.count += 1
        record = unpack(tree_fd)
        self._then()
        return record


def filled_cache(directory: Path, *keys: str) -> Path:
    """Make a cache with a layer at each of ``keys`` (KEY), and return the entry of the first."""
    keys = keys or (KEY,)
    with open_store(directory, kind=KIND) as store:
        for key in keys:
            store.fetch(key, unpack)
    return directory / "layers-2" / KIND / keys[0]
