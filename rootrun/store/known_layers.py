"""Memory of what layers turned out to be that were packed before, so that none is hashed again.

It is beside that of the blobs, in ``verified/``, and goes with it: one small file a layer. What is
damaged in it is not known.
"""

import json
import os
from pathlib import Path

from rootrun.errors import StoreError
from rootrun.layer.seal import sealed, unsealed
from rootrun.namedtuple import NamedTuple

_KIND = "rootrun-known-layer-1"


class KnownLayer(NamedTuple):
    """A layer. ``compressed`` is the entry of the compressed store that has its blob, or empty."""

    diff_id: str
    digest: str  # of the blob
    size_bytes: int  # of the blob
    entry_count: int
    compressed: str = ""


class KnownLayers:
    """The memory, below ``directory``; keys are digests of what layers are made of."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def recall(self, key: str) -> KnownLayer | None:
        """Return the layer that is made of ``key``, None if it is not known."""
        path = self._path(key)
        try:
            known_key, *values = json.loads(unsealed(_KIND, path.read_bytes()))
            layer = KnownLayer(*values)
            os.utime(path)  # the last use, for pruning
        except (OSError, StoreError, ValueError, TypeError):
            return None
        return layer if known_key == key else None

    def remember(self, key: str, layer: KnownLayer) -> None:
        """Remember ``layer``. Failing to write is no failure of the run."""
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_bytes(sealed(_KIND, [key, *layer]))
            os.replace(temporary, path)
        except OSError:
            return

    def _path(self, key: str) -> Path:
        return self._directory / f"layer-{key[:32]}"
