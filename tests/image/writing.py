"""One whole image written through a sink, as the pipeline does it but without a script."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from rootrun.image.compression import Compression
from rootrun.image.derive import derive_config
from rootrun.image.edits import ConfigEdits
from rootrun.image.image import Layer
from rootrun.image.reference import parse_image_reference, parse_output_reference
from rootrun.image.sink import WrittenImage, open_sink
from rootrun.image.source import Image, open_image
from tests.support.tarball import file, tarball

NEW_LAYER = tarball(file("new", b"made by the script", mtime=1))
NAMES = ("registry:5000/team/new:v1",)
CREATED = "1970-01-01T00:00:01Z"


def nothing_is_verified(_: Layer) -> bool:
    """Make the sink verify all that it copies."""
    return False


def write_image(
    base: str | Path | None,
    output: str | Path,
    *,
    layers: Sequence[bytes | Layer] = (NEW_LAYER,),
    compression: Compression = Compression.NONE,
    is_verified: Callable[[Layer], bool] = nothing_is_verified,
    forked: bool = False,
) -> WrittenImage:
    """Write ``layers`` on top of ``base`` to ``output``; ``forked`` copies the base in a child.

    Content is packed, a ``Layer`` is added as it is.
    """
    reference = parse_image_reference(os.fspath(base)) if base else None
    target = parse_output_reference(os.fspath(output))
    scratch = target.path.absolute().parent
    with (
        open_image(reference, ref=None, architecture=None, scratch=lambda: scratch) as image,
        open_sink(target, base=image.layers, scratch=scratch, compression=compression) as sink,
    ):
        if forked:
            _in_child(lambda: sink.write_base(is_verified))
        else:
            sink.write_base(is_verified)
        for layer in layers:
            if isinstance(layer, Layer):
                sink.add_layer(layer)
                continue
            with sink.new_layer() as new:
                new.write(layer)
        config = derive_config(
            image.config,
            architecture=None,
            diff_ids=tuple(layer.diff_id for layer in sink.layers),
            edits=ConfigEdits(),
            created=CREATED,
            created_by=("test",) * max(1, len(layers)),
        )
        written = sink.finish(config.to_bytes(), names=NAMES)
        sink.commit()
        return written


def opened(path: str | Path, *, ref: str | None = None, architecture: str | None = None) -> Image:
    """Open the image at ``path``, which needs no scratch space, and return what it says."""
    reference = parse_image_reference(os.fspath(path))
    with open_image(reference, ref=ref, architecture=architecture, scratch=_no_scratch) as image:
        return image


def _no_scratch() -> Path:
    raise AssertionError("nothing here is to be spooled")


def _in_child(function: Callable[[], None]) -> None:
    child = os.fork()
    if not child:
        try:
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0
