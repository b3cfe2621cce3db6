"""Which blobs of layers were verified: now, or in an earlier run on the same files."""

from collections.abc import Sequence
from pathlib import Path

from rootrun.image.compression import Compression
from rootrun.image.digest import Digest
from rootrun.image.image import Layer
from rootrun.store.verified import Stamp, VerifiedBlob, VerifiedBlobs, stamp_of

_UNKNOWN = Digest("")


class Verification:
    """The state of the blobs of ``layers``; made before they are read."""

    def __init__(self, layers: Sequence[Layer], memory: VerifiedBlobs) -> None:
        self._memory = memory
        self._layers = layers
        self._stamps: dict[Path, Stamp] = {}
        self._known: dict[Path, dict[tuple[int, int], VerifiedBlob]] = {}
        for path in {layer.blob.path for layer in layers}:
            self._stamps[path] = stamp_of(path)
            self._known[path] = {
                (blob.offset, blob.size_bytes): blob for blob in memory.recall(path)
            }

    def is_verified(self, layer: Layer) -> bool:
        """Say whether the blob of ``layer`` is known to be what the image says."""
        known = self._known[layer.blob.path].get((layer.blob.offset, layer.blob.size_bytes))
        return (
            known is not None
            and known.diff_id == layer.diff_id
            and layer.digest in (None, known.digest)
        )

    def note(self, layer: Layer, *, digest: Digest) -> None:
        """Note that the blob of ``layer`` was read: its digest, and its diff_id, are right.

        One in another file than the layers of which this is the state is passed over.
        """
        blob = layer.blob
        if blob.path in self._known:
            self._known[blob.path][blob.offset, blob.size_bytes] = VerifiedBlob(
                blob.offset, blob.size_bytes, layer.diff_id, digest
            )

    def note_copied(self) -> None:
        """Note that all blobs were copied into an output, which verifies what is not verified."""
        for layer in self._layers:
            if not self.is_verified(layer):
                is_plain = layer.compression is Compression.NONE
                self.note(layer, digest=layer.digest or (layer.diff_id if is_plain else _UNKNOWN))

    def remember(self) -> None:
        """Keep what is known for later runs."""
        for path, known in self._known.items():
            if known:
                self._memory.remember(path, known.values(), read=self._stamps[path])
