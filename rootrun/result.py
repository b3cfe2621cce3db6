"""What a run made, as one frozen value."""

from pathlib import Path

from rootrun.dataclass import dataclass
from rootrun.image.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerResult:
    """A new layer. ``size_bytes`` is that of its blob, ``digest`` names the blob."""

    diff_id: Digest
    digest: Digest
    size_bytes: int
    entry_count: int
    losses: tuple[str, ...] = ()  # what it does not keep of the change, in sentences
    is_cached: bool = False  # taken from the cache of steps: nothing was run


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the scripts used, all of their processes together."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_memory_bytes: int = 0
    process_count: int = 0  # that were started, and threads

    def and_then(self, later: "Usage") -> "Usage":
        """Return what was used by both, one after the other."""
        return Usage(
            wall_s=self.wall_s + later.wall_s,
            cpu_s=self.cpu_s + later.cpu_s,
            peak_memory_bytes=max(self.peak_memory_bytes, later.peak_memory_bytes),
            process_count=self.process_count + later.process_count,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The new image, and how it was made."""

    image_id: Digest
    manifest_digest: Digest | None  # None: a docker-archive has no manifest of its own
    name: str
    tag: str
    output: Path  # ``-`` for stdout
    layers: tuple[LayerResult, ...]  # the new ones, bottom first
    base_image_id: Digest | None  # None: an empty root
    base_layer_count: int
    id_map: str = ""  # the key of the IdMap
    rootfs: str | None = None  # the backend: overlay; None: nothing was run
    usage: Usage = Usage()
