"""One run, told from top to bottom: an image and a script in, an image out.

::

    image source -> layer store -> rootfs -> sandbox -> diff -> layer writer -> image sink
"""

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from rootrun.attempt import Attempt, Job, attempt
from rootrun.compose.base_image import opened_image, unpacked_base
from rootrun.dataclass import replace
from rootrun.errors import ImageError, LayerError, StoreError, told_as
from rootrun.image.digest import digest_of, hex_of
from rootrun.image.image import Image
from rootrun.image.sink import Sink, open_sink
from rootrun.layer.compare import DiffNotes
from rootrun.layer.diff import Change
from rootrun.layer.pack import pack_layer
from rootrun.plan import (
    check_before_run,
    describe,
    planned_config,
    read_steps,
)
from rootrun.progress import Progress
from rootrun.request import Request
from rootrun.result import LayerResult, RunResult, Usage
from rootrun.rootfs.scratch import scratch_directory, sweep_dead
from rootrun.rootfs.verification import Verification
from rootrun.sandbox.child import run_in_child
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.userns import enter_namespaces

log = logging.getLogger(__name__)

_TAG_LENGTH = 32


def run(request: Request, *, progress: Progress) -> RunResult:
    """Run the scripts of ``request`` in its base and write the new image.

    Turns this process into root of a new user and mount namespace, for good.
    Raises RootrunError, or Interrupted; then there is no output, and nothing else is left.
    """
    with ExitStack() as cleanup:  # undone in reverse order
        scratch = cleanup.enter_context(scratch_directory(request.scratch))
        with told_as(ImageError, "read image", "the base"):
            image = cleanup.enter_context(opened_image(request.image_choice, scratch=scratch))
        config = planned_config(request, image.config, image.config.diff_ids)
        check_before_run(request, image, config)
        steps = read_steps(request)
        progress.ended("open image")

        id_map = enter_namespaces(choose_id_map(request.sandbox.id_map))
        log.info("id map: %s", describe(id_map))
        sweep_dead(scratch)
        progress.ended("namespaces")
        sink = cleanup.enter_context(_open_output(request, image, scratch))
        progress.ended("open output")
        base = cleanup.enter_context(
            unpacked_base(
                image, scratch=scratch, places=request.scratch, id_map=id_map, progress=progress
            )
        )
        job = Job(request, base, config, steps, id_map)
        with told_as(StoreError, "make the root", scratch):
            first = cleanup.enter_context(attempt(job, scratch=scratch))
        progress.ended("rootfs")
        started_s = time.monotonic()
        usage = _run_steps(first, sink, base.verification, progress=progress)
        with told_as(LayerError, "pack the layer", scratch):
            layer = _write_layer(first.changes, sink, progress=progress)
        if request.is_checked:
            from rootrun.check import check_again

            check_again(
                job,
                first,
                scratch=scratch / "again",
                started_s=started_s,
                layer_bytes=layer.size_bytes,
            )
            progress.ended("second run")
        result = _finish(request, image, sink, layer)
        sink.commit()
        base.verification.remember()
        progress.ended("output")
        return replace(result, id_map=id_map.key, rootfs=first.rootfs.backend, usage=usage)


def _open_output(request: Request, image: Image, scratch: Path) -> AbstractContextManager[Sink]:
    return open_sink(
        request.output, base=image.layers, scratch=scratch, compression=request.compression
    )


def _run_steps(
    first: Attempt, sink: Sink, verification: Verification, *, progress: Progress
) -> Usage:
    """Run the steps while a child copies the base to the output."""
    is_verified = verification.is_verified
    with run_in_child(lambda: sink.write_base(is_verified), name="copy base") as copying:
        usage = first.run(alongside=[copying])
        progress.ended("script")
        copying.wait()
        progress.ended("wait for base copy")
        progress.ran_beside("base copy", copying.wall_s)
    verification.note_copied()
    return usage


def _write_layer(
    changes: Callable[[DiffNotes], Iterable[Change]], sink: Sink, *, progress: Progress
) -> LayerResult:
    """Pack what the run changed, and tell what the layer does not keep."""
    notes = DiffNotes()
    with progress.stage("packing the layer", None) as advance, sink.new_layer() as output:
        packed = pack_layer(changes(notes), output.write, advance=advance)
    for line in notes.lines():
        log.warning("%s", line)
    progress.ended("pack")
    log.info("layer: %s", packed)
    written = output.written
    return LayerResult(
        diff_id=written.diff_id,
        digest=written.digest,
        size_bytes=written.size_bytes,
        entry_count=packed.entry_count,
    )


def _finish(request: Request, image: Image, sink: Sink, layer: LayerResult) -> RunResult:
    """Write what describes the image; a tag that was not given comes from its content."""
    diff_ids = (*image.config.diff_ids, layer.diff_id)
    content = planned_config(request, image.config, diff_ids).to_bytes()
    image_id = digest_of(content)
    tag = request.tag or hex_of(image_id)[:_TAG_LENGTH]
    written = sink.finish(content, names=(f"{request.name}:{tag}",))
    return RunResult(
        image_id=image_id,
        manifest_digest=written.manifest_digest,
        name=request.name,
        tag=tag,
        output=request.output.path,
        layer=layer,
        base_image_id=image.config_digest if request.base else None,
        base_layer_count=len(image.layers),
    )
