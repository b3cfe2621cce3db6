"""Committing a machine: the way of the main job from the change to the image."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from rootrun.annotation import TYPE_CHECKING
from rootrun.dataclass import replace
from rootrun.errors import LayerError, OutputError, told_as
from rootrun.image.config import ImageConfig
from rootrun.image.derive import derive_config
from rootrun.image.digest import Digest
from rootrun.layer.compare import DiffNotes
from rootrun.layer.diff import Change
from rootrun.layer.removal import remove_tree
from rootrun.layer.stack import LayerStack
from rootrun.pipeline import finish_image, open_output
from rootrun.progress import Silence
from rootrun.request import Request
from rootrun.result import RunResult, Usage
from rootrun.steps import Ground, MadeLayers, pack_changes
from rootrun.testing.images import MachineGround
from rootrun.testing.layers import layer_changes

if TYPE_CHECKING:
    from rootrun.testing.keeper import Keeper

_CREATED_BY = "rootrun commit"

Changes = Callable[[DiffNotes], Iterable[Change]]


def commit(
    keeper: "Keeper", request: Request, changes: Changes, *, packed: Callable[[], None]
) -> RunResult:
    """Write the image of ``request``, with ``changes`` on the base; call ``packed`` once they are.

    A machine that was forked has a layer of its own for each fork on the way.
    """
    _, image, base, config, id_map, forked = keeper.ground

    def config_of(diff_ids: tuple[Digest, ...]) -> ImageConfig:
        return derive_config(
            image.config,
            architecture=request.architecture,
            diff_ids=diff_ids,
            edits=request.edits,
            created=request.created,
            created_by=(_CREATED_BY,) * (len(forked) + 1),
        )

    with ExitStack() as cleanup:
        scratch = cleanup.enter_context(_scratch(keeper.scratch))
        with told_as(OutputError, "write image", request.output.path):
            sink = cleanup.enter_context(open_output(request, image, scratch))
        ground = Ground(request, config, id_map, base, sink, scratch)
        with told_as(LayerError, "pack the layer", keeper.scratch):
            layers = [
                pack_changes(each, ground, progress=Silence())
                for each in (*_changes_of_forks(keeper.ground, request), changes)
            ]
        packed()
        sink.write_base(base.verification.is_verified)
        made = MadeLayers(tuple(layers), Usage(), keeper.root.rootfs.backend)
        result = finish_image(request, image, sink, made, config_of=config_of)
        sink.commit()
        return replace(result, id_map=id_map.key)


@contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    """Make a directory in that of the machine: it goes with it, if this process is killed."""
    directory = place / f"commit-{os.getpid()}"
    directory.mkdir(mode=0o700)
    try:
        yield directory
    finally:
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(directory.name, directory_fd=fd)
        finally:
            os.close(fd)


def _changes_of_forks(ground: MachineGround, request: Request) -> Iterable[Changes]:
    layers, forked = ground.base.stack.layers, ground.forked
    for number, layer in enumerate(forked):
        below = LayerStack(layers[: len(layers) - len(forked) + number])
        yield partial(layer_changes, layer, below, request.policy)
