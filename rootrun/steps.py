"""The new layers of a run, one after the other: each is taken from the cache of steps, or made."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from rootrun import log
from rootrun.annotation import TYPE_CHECKING
from rootrun.attempt import Attempt, Job, attempt, timeout_left_s
from rootrun.compose.base_image import Base
from rootrun.errors import LayerError, StoreError, told_as
from rootrun.image.compression import Compression
from rootrun.image.config import ImageConfig
from rootrun.image.image import Layer
from rootrun.image.sink import Sink
from rootrun.layer.compare import DiffNotes
from rootrun.layer.diff import Change
from rootrun.layer.pack import pack_layer
from rootrun.namedtuple import NamedTuple
from rootrun.plan import LayerPlan
from rootrun.progress import Progress
from rootrun.request import Request
from rootrun.result import LayerResult, Usage
from rootrun.sandbox.child import ChildTask, run_in_child
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.spec import Outcome

if TYPE_CHECKING:
    from rootrun.compose.compressed_layers import LayerMemory


class Ground(NamedTuple):
    """What the layers of a run are made on, and where they go."""

    request: Request
    config: ImageConfig  # of the new image
    id_map: IdMap
    base: Base
    sink: Sink
    scratch: Path


class MadeLayers(NamedTuple):
    """The new layers, and how they were made."""

    layers: tuple[LayerResult, ...]
    usage: Usage
    backend: str | None  # of the last root; None: nothing was run


def make_layers(ground: Ground, plans: Iterable[LayerPlan], *, progress: Progress) -> MadeLayers:
    """Write the layers of ``plans``, each made on those before, while a child copies the base."""
    maker = _LayerMaker(ground, progress)
    base = ground.base
    with ExitStack() as beside:
        copying: ChildTask | None = None
        for plan in plans:
            if maker.take(plan):
                continue
            if copying is None:
                copying = beside.enter_context(
                    _copying_base(ground, base.is_verified_once_unpacked())
                )
                base.unpack()
            maker.make(plan, copying)
        copying = copying or beside.enter_context(
            _copying_base(ground, base.verification.is_verified)
        )
        copying.wait()
        progress.ended("wait for base copy")
        progress.ran_beside("base copy", copying.wall_s)
    base.verification.note_copied()
    return MadeLayers(tuple(maker.layers), maker.usage, maker.backend)


def _copying_base(
    ground: Ground, is_verified: Callable[[Layer], bool]
) -> AbstractContextManager[ChildTask]:
    return run_in_child(lambda: ground.sink.write_base(is_verified), name="copy base")


class _LayerMaker:
    """Makes layers, and adds up what they took."""

    def __init__(self, ground: Ground, progress: Progress) -> None:
        self.layers: list[LayerResult] = []
        self.usage = Usage()
        self.backend: str | None = None
        self._ground = ground
        self._progress = progress
        self._cache = None
        if ground.request.has_step_cache:
            from rootrun.step_cache import open_step_cache

            self._cache = open_step_cache(
                ground.request, ground.config, ground.id_map, ground.base.cache
            )

    def take(self, plan: LayerPlan) -> bool:
        """Take the layer of ``plan`` from the cache of steps; say whether it was there."""
        if self._cache is None:
            return False
        layer = self._cache.take(plan, self._ground.sink)
        if layer is not None:
            self._add(layer)
        part = plan.name if layer is None else f"{plan.name}, cached"
        self._progress.ended("step cache", part=part)
        return layer is not None

    def make(self, plan: LayerPlan, copying: ChildTask) -> None:
        """Run the steps of ``plan`` and pack what they change, beside the task ``copying``."""
        request, config, id_map, base, sink, _ = self._ground
        job = Job(request, base, config, plan, id_map, self._time_left_s())
        outcome, layer = self._run(job, copying)
        if self._cache and outcome.has_warned:
            log.debug("step cache: %s: not kept, for what was warned of", plan.name)
        elif self._cache:
            self._cache.keep(plan, sink, made=layer)
            self._progress.ended("step cache")
        self._add(layer)

    def _run(self, job: Job, copying: ChildTask) -> tuple[Outcome, LayerResult]:
        scratch, progress = self._new_scratch(), self._progress
        with ExitStack() as cleanup:
            with told_as(StoreError, "make the root", scratch):
                first = cleanup.enter_context(attempt(job, scratch=scratch))
            progress.ended("rootfs")
            started_s = time.monotonic()
            outcome = first.run(alongside=[copying])
            progress.ended("script", part=job.plan.name)
            with told_as(LayerError, "pack the layer", scratch):
                layer = pack_changes(first.changes, self._ground, progress=progress)
            if job.request.is_checked:
                _check(job, first, layer, scratch=scratch, started_s=started_s)
                progress.ended("second run")
            self.backend = first.rootfs.backend
        self.usage = self.usage.and_then(_usage_of(outcome))
        return outcome, layer

    def _add(self, layer: LayerResult) -> None:
        self._ground.base.lay(self._ground.sink.layers[-1])
        self.layers.append(layer)

    def _new_scratch(self) -> Path:
        """Return the directory of the next root: the first one's is that of the run."""
        if not self.layers:
            return self._ground.scratch
        directory = self._ground.scratch / f"layer-{len(self.layers) + 1}"
        directory.mkdir()
        return directory

    def _time_left_s(self) -> float | None:
        return timeout_left_s(self._ground.request.sandbox.timeout_s, self.usage.wall_s)


def _check(
    job: Job, first: Attempt, layer: LayerResult, *, scratch: Path, started_s: float
) -> None:
    from rootrun.check import check_again

    check_again(
        job,
        first,
        scratch=scratch / "again",
        started_s=started_s,
        layer_bytes=layer.size_bytes,
    )


def pack_changes(
    changes: Callable[[DiffNotes], Iterable[Change]], ground: Ground, *, progress: Progress
) -> LayerResult:
    """Pack what the run changed, and tell what the layer does not keep."""
    notes, sink = DiffNotes(), ground.sink
    with _layer_memory(ground) as memory, _closed_at_end(changes(notes)) as found:
        with progress.stage("packing the layer", None) as advance, sink.new_layer() as output:
            if memory:
                output.remember_with(memory)
            packed = pack_layer(
                found,
                output.write,
                advance=advance,
                tar_format=ground.request.policy.shape.tar_format,
            )
        if memory:
            from rootrun.compose.compressed_layers import keep_compressed

            keep_compressed(memory, sink.layers[-1], entry_count=packed.entry_count)
    losses = tuple(notes.lines())
    for loss in losses:
        log.warning("%s", loss)
    progress.ended("pack")
    log.info("layer: %s", packed)
    written = output.written
    return LayerResult(
        diff_id=written.diff_id,
        digest=written.digest,
        size_bytes=written.size_bytes,
        entry_count=packed.entry_count,
        losses=losses,
    )


@contextmanager
def _closed_at_end(changes: Iterable[Change]) -> Iterator[Iterable[Change]]:
    """Hold ``changes`` in the block, and have them undo what they mounted at its end.

    Else that would be done when nobody holds the error any more that ended the block.
    """
    try:
        yield changes
    finally:
        if isinstance(changes, Generator):
            changes.close()


def _layer_memory(ground: Ground) -> "AbstractContextManager[LayerMemory | None]":
    if ground.request.compression is Compression.NONE:
        return nullcontext()  # as in most runs, which need not import what follows
    from rootrun.compose.compressed_layers import layer_memory

    return layer_memory(ground.base.cache, ground.request.compression)


def _usage_of(outcome: Outcome) -> Usage:
    return Usage(
        wall_s=outcome.wall_s,
        cpu_s=outcome.cpu_s,
        peak_memory_bytes=outcome.peak_memory_bytes,
        process_count=outcome.started_count,
    )
