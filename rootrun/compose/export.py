"""``rootrun export``: the merged tree of an image, as one tar or as a directory."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rootrun import log
from rootrun.compose.base_image import opened_base, opened_image
from rootrun.errors import SandboxError
from rootrun.image.layer_output import open_layer_output
from rootrun.image.output_file import OutputFile, open_output_file, write_at, writing
from rootrun.image.staging import NewDirectory, open_new_directory
from rootrun.layer.diff import Change
from rootrun.layer.listing import list_tree
from rootrun.layer.pack import pack_layer
from rootrun.layer.stack import LayerStack
from rootrun.progress import Progress
from rootrun.request import ExportRequest
from rootrun.rootfs.backend import COPY, OVERLAY
from rootrun.rootfs.base_view import BaseView
from rootrun.rootfs.copy import copy_rootfs
from rootrun.rootfs.overlay import base_lowers_of, merged_view
from rootrun.rootfs.scratch import scratch_directory, sweep_dead
from rootrun.sandbox.idmap import IdMap
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.userns import enter_namespaces

_Advance = Callable[[int], None]


def export_image(request: ExportRequest, *, progress: Progress) -> None:
    """Write the tree that all layers of an image make together.

    In a tar owners, set-id bits and devices are the image's, whatever the id map; what a directory
    does not hold is told. Turns this process into root of new namespaces, for good. Raises
    RootrunError; then there is no output.
    """
    with ExitStack() as cleanup:
        scratch = cleanup.enter_context(scratch_directory(request.scratch))
        image = cleanup.enter_context(opened_image(request.image_choice, scratch=scratch))
        id_map = enter_namespaces(choose_id_map(request.sandbox.id_map))
        sweep_dead(scratch)
        output: OutputFile | NewDirectory
        if request.is_directory:
            output = cleanup.enter_context(open_new_directory(request.output))
        else:
            output = cleanup.enter_context(open_output_file(request.output, scratch=scratch))
        base = cleanup.enter_context(
            opened_base(
                image, scratch=scratch, places=request.scratch, id_map=id_map, progress=progress
            )
        )
        view = cleanup.enter_context(
            _merged(base.stack, scratch=scratch, wanted=request.sandbox.rootfs)
        )
        view_fd = os.open(view, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        cleanup.callback(os.close, view_fd)
        tree = BaseView(base.stack, root_status=os.fstat(view_fd))
        changes = list_tree(view_fd, tree, mtime_s=request.mtime_s)
        with progress.stage("exporting", None) as advance, writing(request.output):
            if isinstance(output, NewDirectory):
                _fill(output, changes, id_map, advance=advance)
            else:
                _write(request, output, changes, advance=advance)
        base.verification.remember()


@contextmanager
def _merged(stack: LayerStack, *, scratch: Path, wanted: str) -> Iterator[Path]:
    """Show the merged layers by the ``wanted`` backend; ``auto`` copies where overlay cannot be."""
    with ExitStack() as cleanup:
        if wanted != COPY:
            try:
                lowers = base_lowers_of(stack, scratch=scratch)
                view = cleanup.enter_context(merged_view(lowers, scratch=scratch))
            except SandboxError as error:
                if wanted == OVERLAY:
                    raise
                log.info("rootfs: copy, since overlay: %s", error)
            else:
                yield view
                return
        copied = scratch / "copied"
        copied.mkdir()
        yield cleanup.enter_context(copy_rootfs(stack, scratch=copied)).root


def _write(
    request: ExportRequest, output: OutputFile, changes: Iterable[Change], *, advance: _Advance
) -> None:
    def write(content: bytes | memoryview, offset: int) -> None:
        write_at(output.descriptor, content, offset)

    with open_layer_output(write, 0, request.compression) as stream:
        packed = pack_layer(changes, stream.write, advance=advance)
        stream.finish()
        output.sync()
        output.commit()
    log.info("exported: %s", packed)


def _fill(
    output: NewDirectory, changes: Iterable[Change], id_map: IdMap, *, advance: _Advance
) -> None:
    from rootrun.compose.export_directory import write_tree  # a tar needs none of it

    losses = write_tree(changes, output.descriptor, id_map=id_map, advance=advance)
    output.commit()
    for loss in losses.lines():
        log.warning("export: %s", loss)
