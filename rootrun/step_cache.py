"""``--step-cache``: a layer that was made once of the same inputs is taken, and nothing is run."""

from collections.abc import Mapping, Sequence

from rootrun import log
from rootrun.compose.base_image import Cache
from rootrun.compose.copy_digest import digest_of_copies
from rootrun.errors import ImageError, StoreError
from rootrun.image.blob import file_blob
from rootrun.image.blob_copy import link_or_copy
from rootrun.image.compression import Compression
from rootrun.image.config import ImageConfig
from rootrun.image.digest import Digest
from rootrun.image.image import Layer
from rootrun.image.sink import Sink
from rootrun.image.source import open_layer
from rootrun.plan import LayerPlan
from rootrun.request import NetworkMode, Request
from rootrun.result import LayerResult
from rootrun.rootfs.verification import Verification
from rootrun.sandbox.idmap import IdMap
from rootrun.step_inputs import COPIES, LAYERS_BELOW, SCRIPT, step_inputs
from rootrun.store.step_store import CachedStep, StepRecord, StepStore, key_of

_OF_THE_HOST = "with --extra-script programs of this machine run, which are no input that is known"


class StepCache:
    """The steps that earlier runs have left, as one run sees them."""

    def __init__(self, cache: Cache, request: Request, config: ImageConfig, id_map: IdMap) -> None:
        self._store = StepStore(cache.directory)
        self._blobs = cache.blobs
        self._request = request
        self._config = config
        self._id_map = id_map
        self._inputs: Mapping[str, str] = {}  # of the layer that was looked for last

    def take(self, plan: LayerPlan, sink: Sink) -> LayerResult | None:
        """Add the layer of ``plan`` to ``sink`` if there is one, and it is whole; -v tells."""
        if plan.extra:
            log.debug("step cache: %s: not used: %s", plan.name, _OF_THE_HOST)
            return None
        below = [layer.diff_id for layer in sink.layers]
        inputs = step_inputs(self._request, self._config, self._id_map, plan=plan, below=below)
        self._inputs = inputs
        if self._request.is_checked:
            log.debug("step cache: %s: not looked for, since --check is to run it", plan.name)
            return None
        key = key_of(inputs)
        with self._store.held(key) as found:
            if found is None:
                self._explain(plan, inputs)
                return None
            try:
                layer = self._verified(found, position=len(sink.layers) + 1)
            except (ImageError, ValueError) as error:
                log.warning("the cache is damaged, the step is made again: %s", error)
            else:
                sink.add_layer(layer)
                return _taken(plan, found.record)
        self._store.discard(key)
        return None

    def keep(self, plan: LayerPlan, sink: Sink, *, made: LayerResult) -> None:
        """Keep the topmost layer of ``sink``, which ``take`` did not find; failing is told."""
        layer = sink.layers[-1]
        assert layer.digest is not None
        if plan.extra:
            return
        if digest_of_copies(plan.copies) != self._inputs[COPIES]:
            log.warning("step cache: %s: not kept: %s changed meanwhile", plan.name, COPIES)
            return
        record = StepRecord(
            inputs=self._inputs,
            diff_id=layer.diff_id,
            digest=layer.digest,
            compression=layer.compression.value,
            size_bytes=layer.blob.size_bytes,
            entry_count=made.entry_count,
            losses=made.losses,
        )
        try:
            self._store.keep(record, lambda path: link_or_copy(layer.blob, path, is_kept=False))
        except (StoreError, ImageError) as error:
            log.warning("step cache: %s: not kept: %s", plan.name, error)

    def _verified(self, found: CachedStep, *, position: int) -> Layer:
        """Return the layer that was found; raise ImageError or ValueError if it is damaged."""
        record = found.record
        layer = Layer(
            blob=file_blob(found.blob),
            diff_id=Digest(record.diff_id),
            digest=Digest(record.digest),
            compression=Compression(record.compression),
            media_type="",
            position=position,
            count=position,
        )
        verification = Verification([layer], self._blobs)
        if not verification.is_verified(layer):
            with open_layer(layer) as stream:
                stream.verify()
            verification.note(layer, digest=stream.digest)
            verification.remember()
        return layer

    def _explain(self, plan: LayerPlan, inputs: Mapping[str, str]) -> None:
        if log.is_debugging():
            log.debug("step cache: %s: miss: %s", plan.name, miss(inputs, self._store.records()))


def _taken(plan: LayerPlan, record: StepRecord) -> LayerResult:
    log.info("step cache: %s: layer %s", plan.name, record.diff_id)
    for loss in record.losses:
        log.warning("%s", loss)
    return LayerResult(
        diff_id=Digest(record.diff_id),
        digest=Digest(record.digest),
        size_bytes=record.size_bytes,
        entry_count=record.entry_count,
        losses=record.losses,
        is_cached=True,
    )


def open_step_cache(
    request: Request, config: ImageConfig, id_map: IdMap, cache: Cache
) -> StepCache | None:
    """Return the cache of steps, None where it would not do; -v tells why."""
    if request.sandbox.network is NetworkMode.HOST:
        reason = "with --network host the same script may make another layer each time"
    elif request.sandbox.binds:
        reason = "what --bind shows is no input that can be known, and can be changed"
    elif not cache.stays:
        reason = "there is no cache"
    else:
        return StepCache(cache, request, config, id_map)
    log.debug("step cache: not used: %s", reason)
    return None


def miss(inputs: Mapping[str, str], known: Sequence[StepRecord]) -> str:
    """Return why none of the ``known`` steps, the one used last first, is made of ``inputs``."""
    changes = [
        [name for name, value in inputs.items() if record.inputs.get(name) != value]
        for record in known
    ]
    nearest = min(changes, key=len, default=[])
    if not nearest or {LAYERS_BELOW, SCRIPT} <= {*nearest}:
        return "no such step was run before"
    *others, last = nearest
    names = f"{', '.join(others)} and {last}" if others else last
    return f"{names} changed since the last run of this step"
