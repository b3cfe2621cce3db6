"""Where the new image goes: one interface to all kinds of output."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from rootrun.annotation import Protocol
from rootrun.errors import UsageError
from rootrun.image.compression import WRITABLE, Compression
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput, WrittenLayer
from rootrun.image.output_file import STDOUT
from rootrun.image.reference import OutputReference, Transport
from rootrun.image.written import WrittenImage

__all__ = ["LayerOutput", "LayerPlaces", "Sink", "WrittenImage", "WrittenLayer", "open_sink"]


class LayerPlaces(Protocol):
    """Places of layers whose sizes are known before they are packed, so that nothing is moved."""

    @property
    def is_in_order(self) -> bool:
        """Whether they must be filled one after the other, and by this process."""

    def open(self, number: int) -> AbstractContextManager[LayerOutput]:
        """Open the layer ``number`` from 0; ``finish`` must be called, with all of its bytes.

        May run in a forked child unless ``is_in_order``.
        """

    def take(self, number: int, written: WrittenLayer) -> None:
        """Have the layer ``number``, which is ``written``, be the next one; they come in order."""


class Sink(Protocol):
    """An image in the making. What was written disappears with the context unless committed."""

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of the image so far, the base's first.

        The blobs of the new ones can be read until ``commit``.
        """

    def write_base(self, is_verified: Callable[[Layer], bool]) -> None:
        """Write the base's blobs, and verify those that ``is_verified`` does not vouch for.

        May run in a forked child beside ``new_layer`` and ``add_layer``: nobody writes where the
        other does. Must be done before ``finish``.
        """

    def new_layer(self) -> AbstractContextManager[LayerOutput]:
        """Open the next layer; it is one of ``layers`` when the context has ended well."""

    def add_layer(self, layer: Layer) -> None:
        """Make ``layer`` the next one, its blob as it is; the digest must be known and right."""

    def place_layers(self, sizes_bytes: Sequence[int]) -> LayerPlaces | None:
        """Reserve the next places, for tars of these sizes; None where they have no use for that.

        What comes next is none of ``new_layer`` and ``add_layer`` before all places are taken.
        """

    def finish(self, config_bytes: bytes, *, names: tuple[str, ...]) -> WrittenImage:
        """Write configuration and manifest, and bring all to the disk.

        ``names`` are ``NAME:TAG``. The configuration must list the diff_ids of
        the base and of the new layers.
        """

    def commit(self) -> None:
        """Let the image appear under its name, as the last thing of all."""


def open_sink(
    output: OutputReference,
    *,
    base: tuple[Layer, ...],
    scratch: Path,
    compression: Compression = Compression.NONE,
    is_streamed: bool = False,
) -> AbstractContextManager[Sink]:
    """Open ``output`` for an image on top of ``base``.

    ``compression`` is that of the layers that are packed. If it ``is_streamed``, an archive for
    stdout goes there at once: nobody can read its layers from ``place_layers`` any more. Raises
    OutputError where it cannot be written, at once as far as that can be known; nothing of an
    existing output changes before ``commit``.
    """
    if compression not in WRITABLE:
        raise UsageError(f"compression: {compression.value}: is read, but not written")
    # Each run pays for what is imported, and needs one of these.
    if output.transport is Transport.OCI:
        from rootrun.image.layout_sink import open_layout_sink

        return open_layout_sink(output, base=base, compression=compression)
    if output.transport is Transport.OCI_ARCHIVE:
        from rootrun.image.oci_archive_sink import open_oci_archive_sink

        return open_oci_archive_sink(output, base=base, scratch=scratch, compression=compression)
    if is_streamed and output.path == STDOUT:
        from rootrun.image.stream_sink import StreamSink

        return nullcontext(StreamSink(base, scratch=scratch, compression=compression))
    from rootrun.image.archive_sink import open_archive_sink

    return open_archive_sink(output.path, base=base, scratch=scratch, compression=compression)
