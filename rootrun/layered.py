"""A run of ``rootrun layered``, told from top to bottom: paths of a store in, an image out.

::

    closure -> layers of store paths -> one that is ready -> links and scripts, as in any run
    -> image sink
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from rootrun import log
from rootrun.compose.base_image import Base, opened_base, opened_image
from rootrun.compose.layered.blobs import FileMaker, pass_over, write_store_layers
from rootrun.compose.layered.contents import link_contents
from rootrun.compose.layered.layer_plan import (
    StoreLayer,
    available_layers,
    check_needed,
    on_base,
    plan_store_layers,
    read_closure,
)
from rootrun.compose.layered.memory import StoreMemory, opened_memory
from rootrun.compose.layered.request import LayeredRequest, ReadyLayer
from rootrun.compose.layered.store_tree import tree_changes
from rootrun.dataclass import replace
from rootrun.errors import ImageError, LayerError, told_as
from rootrun.image.config import ImageConfig
from rootrun.image.derive import derive_config
from rootrun.image.digest import Digest
from rootrun.image.image import Image
from rootrun.image.sink import Sink, WrittenLayer, open_sink
from rootrun.layer.pack import pack_layer
from rootrun.layer.policy import LayerPolicy
from rootrun.namedtuple import NamedTuple
from rootrun.pipeline import finish_image
from rootrun.plan import LayerPlan, check_before_run, created_by, describe, plan_layers
from rootrun.progress import Progress
from rootrun.request import CopyIn, Request
from rootrun.result import LayerResult, RunResult, Usage
from rootrun.rootfs.scratch import scratch_directory, sweep_dead
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.userns import enter_namespaces
from rootrun.steps import Ground, MadeLayers, make_layers


class _Plan(NamedTuple):
    """What is to be made, bottom first."""

    store_layers: tuple[StoreLayer, ...]
    ready: ReadyLayer | None
    request: Request  # of what comes on top of them
    layers: tuple[LayerPlan, ...]  # then

    @property
    def needs_store(self) -> bool:
        """Whether anybody looks at what is in the layers of the store."""
        request = self.request
        return bool(request.has_steps or request.registrations or request.extra_scripts)

    def config_of(self, image: Image, diff_ids: tuple[Digest, ...]) -> ImageConfig:
        """Return the configuration of the new image on top of ``image``."""
        steps = [f"rootrun layered {' '.join(layer.paths)}" for layer in self.store_layers]
        if self.ready is not None:
            steps.append(self.ready.created_by)
        request = self.request
        return derive_config(
            image.config,
            architecture=request.architecture,
            diff_ids=diff_ids,
            edits=request.edits,
            created=request.created,
            created_by=(*steps, *(created_by(request) if self.layers else ())),
        )


def run_layered(request: LayeredRequest, *, progress: Progress) -> RunResult:
    """Write the image that ``request`` asks for, and return what it is.

    Turns this process into root of new namespaces, for good, unless there is nothing but paths of
    the store and links to them. Raises RootrunError, or Interrupted; then there is no output, but
    for what went to stdout, which is no image without its end; and nothing else is left.
    """
    run = request.run
    with ExitStack() as cleanup:  # undone in reverse order
        scratch = cleanup.enter_context(scratch_directory(run.scratch))
        with told_as(ImageError, "read image", "the base"):
            image = cleanup.enter_context(opened_image(run.image_choice, scratch=scratch))
        progress.ended("open image")
        plan = _plan(request, image, tree=scratch / "contents")
        config = plan.config_of(image, image.config.diff_ids)
        check_before_run(plan.request, image, config)
        progress.ended("layers of the store")
        if request.is_plain:
            return _write_plain(request, image, plan, scratch=scratch, progress=progress)

        id_map = enter_namespaces(choose_id_map(run.sandbox.id_map))
        log.info("id map: %s", describe(id_map))
        sweep_dead(scratch)
        progress.ended("namespaces")
        sink = cleanup.enter_context(_open_output(plan, image, scratch))
        base = cleanup.enter_context(
            opened_base(
                image, scratch=scratch, places=run.scratch, id_map=id_map, progress=progress
            )
        )
        plan, memory = _on_base(request, image, plan, base)
        results = []
        for layer in _store_layers(plan, memory, sink, scratch=scratch):
            if plan.needs_store:
                base.lay(sink.layers[-1])
            results.append(layer)
        if plan.ready is not None:
            results.append(_add_ready(plan.ready, sink))
            base.lay(sink.layers[-1])
        progress.ended("pack")
        ground = Ground(plan.request, config, id_map, base, sink, scratch)
        made = make_layers(ground, plan.layers, progress=progress)
        made = made._replace(layers=(*results, *made.layers))
        result = finish_image(run, image, sink, made, config_of=partial(plan.config_of, image))
        sink.commit()
        base.verification.remember()
        progress.ended("output")
        return replace(result, id_map=id_map.key)


def _on_base(
    request: LayeredRequest, image: Image, plan: _Plan, base: Base
) -> tuple[_Plan, StoreMemory]:
    """Return ``plan`` as it is on top of ``base``, and what the cache knows of its layers."""
    store = request.store
    if image.layers and plan.store_layers:
        layers, store = on_base(plan.store_layers, store, base.stack)
        plan = plan._replace(store_layers=layers)
    cache = base.cache.directory if base.cache.stays else None
    return plan, StoreMemory(cache, store, request.run.compression)


def _write_plain(
    request: LayeredRequest, image: Image, plan: _Plan, *, scratch: Path, progress: Progress
) -> RunResult:
    """Do as ``run_layered`` does, where nothing needs root: who may read the store may do this."""
    run = request.run
    sweep_dead(scratch)
    with (
        _open_output(plan, image, scratch) as sink,
        opened_memory(run.scratch.cache_directory, request.store, run.compression) as memory,
    ):
        results = [*_store_layers(plan, memory, sink, scratch=scratch)]
        if plan.ready is not None:
            results.append(_add_ready(plan.ready, sink))
        if plan.layers:
            results.append(_add_links(plan, memory.store.policy, sink))
        progress.ended("pack")
        made = MadeLayers(tuple(results), Usage(), None)
        result = finish_image(run, image, sink, made, config_of=partial(plan.config_of, image))
        sink.commit()
        progress.ended("output")
        return result


def _open_output(plan: _Plan, image: Image, scratch: Path) -> AbstractContextManager[Sink]:
    run = plan.request
    return open_sink(
        run.output,
        base=image.layers,
        scratch=scratch,
        compression=run.compression,
        is_streamed=not plan.needs_store,
    )


def _plan(request: LayeredRequest, image: Image, *, tree: Path) -> _Plan:
    """Decide what becomes which layer, and make the links to the contents at ``tree``."""
    closure = read_closure(request.closures, request.store)
    for option, path in request.needed:
        check_needed(option, path, closure, request.store)
    copies = request.copies
    if request.linked:
        link_contents(request.linked, tree=tree)
        copies = (CopyIn(source=tree), *copies)
    top = replace(request.run, copies=copies, max_layers=None)  # which is checked here
    layers = plan_layers(top) if top.has_layer else ()
    above = len(layers) + (request.ready is not None)
    available = available_layers(
        max_layers=request.max_layers, below=len(image.layers), above=above
    )
    store_layers: tuple[StoreLayer, ...] = ()
    if request.has_store_paths:
        store_layers = plan_store_layers(
            closure, request.store, how=request.how, available=available
        )
    return _Plan(store_layers, request.ready, top, layers)


def _store_layers(
    plan: _Plan, memory: StoreMemory, sink: Sink, *, scratch: Path
) -> Iterator[LayerResult]:
    """Add the layers of the store to ``sink``, and yield each when it is there."""
    maker = FileMaker(
        scratch / "store-layers",
        plan.request.compression,
        total_bytes=sum(layer.size_bytes for layer in plan.store_layers),
    )
    for layer in write_store_layers(plan.store_layers, memory, sink, maker=maker):
        yield _result_of(layer.written, layer.entry_count)


def _add_links(plan: _Plan, policy: LayerPolicy, sink: Sink) -> LayerResult:
    """Add the layer of links to the contents, all that there is in the tree to copy."""
    (copy,) = plan.request.copies
    with told_as(LayerError, "pack the layer", copy.source), sink.new_layer() as output:
        changes = tree_changes(str(copy.source), policy=policy)
        packed = pack_layer(changes, output.write, advance=pass_over)
    return _result_of(output.written, packed.entry_count)


def _add_ready(layer: ReadyLayer, sink: Sink) -> LayerResult:
    with sink.new_layer() as output:
        output.write(layer.content)
    return _result_of(output.written, layer.entry_count)


def _result_of(written: WrittenLayer, entry_count: int) -> LayerResult:
    return LayerResult(
        diff_id=written.diff_id,
        digest=written.digest,
        size_bytes=written.size_bytes,
        entry_count=entry_count,
    )
