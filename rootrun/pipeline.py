"""One run, told from top to bottom: an image and a script in, an image out.

::

    image source -> layer store -> rootfs -> sandbox -> diff -> layer writer -> image sink
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from rootrun import log
from rootrun.compose.base_image import opened_base, opened_image
from rootrun.dataclass import replace
from rootrun.errors import ImageError, told_as
from rootrun.image.config import ImageConfig
from rootrun.image.digest import Digest, digest_of, hex_of
from rootrun.image.image import Image
from rootrun.image.sink import Sink, open_sink
from rootrun.plan import check_before_run, describe, plan_layers, planned_config
from rootrun.progress import Progress
from rootrun.request import Request
from rootrun.result import RunResult
from rootrun.rootfs.scratch import scratch_directory, sweep_dead
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.userns import enter_namespaces
from rootrun.steps import Ground, MadeLayers, make_layers

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
        plans = plan_layers(request)
        progress.ended("open image")

        id_map = enter_namespaces(choose_id_map(request.sandbox.id_map))
        log.info("id map: %s", describe(id_map))
        sweep_dead(scratch)
        progress.ended("namespaces")
        sink = cleanup.enter_context(open_output(request, image, scratch))
        progress.ended("open output")
        base = cleanup.enter_context(
            opened_base(
                image,
                scratch=scratch,
                places=request.scratch,
                id_map=id_map,
                progress=progress,
                keeps_new=request.has_step_cache,
            )
        )
        ground = Ground(request, config, id_map, base, sink, scratch)
        made = make_layers(ground, plans, progress=progress)
        result = finish_image(
            request, image, sink, made, config_of=partial(planned_config, request, image.config)
        )
        sink.commit()
        base.verification.remember()
        progress.ended("output")
        return replace(result, id_map=id_map.key)


def open_output(request: Request, image: Image, scratch: Path) -> AbstractContextManager[Sink]:
    """Open what ``request`` writes to, for an image on top of ``image``."""
    return open_sink(
        request.output, base=image.layers, scratch=scratch, compression=request.compression
    )


def finish_image(
    request: Request,
    image: Image,
    sink: Sink,
    made: MadeLayers,
    *,
    config_of: Callable[[tuple[Digest, ...]], ImageConfig],
) -> RunResult:
    """Write what describes the image on top of ``image``, and return what it is.

    ``config_of`` tells the configuration by the diff_ids. A tag that was not given comes from the
    content.
    """
    content = config_of(tuple(layer.diff_id for layer in sink.layers)).to_bytes()
    image_id = digest_of(content)
    tag = tag_of(request, image_id)
    written = sink.finish(content, names=(f"{request.name}:{tag}",))
    return RunResult(
        image_id=image_id,
        manifest_digest=written.manifest_digest,
        name=request.name,
        tag=tag,
        output=request.output.path,
        layers=made.layers,
        base_image_id=image.config_digest if request.base else None,
        base_layer_count=len(image.layers),
        rootfs=made.backend,
        usage=made.usage,
    )


def tag_of(request: Request, image_id: Digest) -> str:
    """Return the tag of the image ``image_id``."""
    return request.tag or hex_of(image_id)[:_TAG_LENGTH]
