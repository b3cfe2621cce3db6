"""Writing OCI archives: an OCI layout in one tar."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rootrun.image.archive_body import ArchiveBody
from rootrun.image.archive_documents import NewImage
from rootrun.image.compression import Compression
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput
from rootrun.image.layout import INDEX_FILE, LAYOUT_FILE, blob_name
from rootrun.image.oci_write import LAYOUT_BYTES, OciDocuments, describe_image, index_bytes
from rootrun.image.output_file import OutputFile, open_output_file
from rootrun.image.reference import OutputReference
from rootrun.image.written import WrittenImage, with_digest

# A reader that unpacks the archive makes missing parents itself, and gives them to root: skopeo
# of an ordinary user then fails.
DIRECTORIES = ("blobs", "blobs/sha256")


class OciArchiveSink:
    """An OCI archive in the making."""

    def __init__(
        self,
        output: OutputFile,
        base: tuple[Layer, ...],
        *,
        ref: str | None,
        compression: Compression,
    ) -> None:
        self._output = output
        self._ref = ref
        self._body = ArchiveBody(
            output,
            tuple(map(with_digest, base)),
            compression=compression,
            directories=DIRECTORIES,
        )

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers of the image so far; see Sink."""
        return self._body.layers

    def write_base(self, is_verified: Callable[[Layer], bool]) -> None:
        """Copy the base's blobs; see Sink."""
        self._body.write_base(is_verified)

    def new_layer(self) -> AbstractContextManager[LayerOutput]:
        """Open the next layer; see Sink."""
        return self._body.new_layer()

    def add_layer(self, layer: Layer) -> None:
        """Copy the next layer; see Sink."""
        self._body.add_layer(layer)

    def place_layers(self, sizes_bytes: Sequence[int]) -> None:
        """Reserve nothing: digests name the members, and each is there once; see Sink."""

    def finish(self, config_bytes: bytes, *, names: tuple[str, ...]) -> WrittenImage:
        """Write all that describes the layers; see Sink."""
        described = describe_layout(
            self._body, [NewImage(config_bytes, names, self.layers)], ref=self._ref
        )
        return WrittenImage(described[0].config_digest, described[0].entry.digest)

    def commit(self) -> None:
        """Give the archive its name; see Sink."""
        self._output.commit()


@contextmanager
def open_oci_archive_sink(
    output: OutputReference, *, base: tuple[Layer, ...], scratch: Path, compression: Compression
) -> Iterator[OciArchiveSink]:
    """Open an OCI archive for writing."""
    with open_output_file(output.path, scratch=scratch) as file:
        yield OciArchiveSink(file, base, ref=output.ref, compression=compression)


def describe_layout(
    body: ArchiveBody, images: Sequence[NewImage], *, ref: str | None
) -> list[OciDocuments]:
    """Write all that describes ``images``, and complete the archive. No two are one image.

    ``ref`` is what the layout calls an image; None means the tag of its first name. Where there are
    several, each is called by each of its whole names, as tags may be the same.
    """
    layers = [layer for image in images for layer in image.layers]
    digests = [layer.digest for layer in layers if layer.digest is not None]  # all
    body.name_layers({digest: blob_name(digest) for digest in digests})
    described: list[OciDocuments] = []
    for image in images:
        calls = [(image.names, ref)]
        if len(images) > 1:
            calls = [((name,), name) for name in image.names] or [((), None)]
        found = [
            describe_image(image.config_bytes, image.layers, names=names, ref=called)
            for names, called in calls
        ]
        body.add(blob_name(found[0].config_digest), image.config_bytes)
        body.add(blob_name(found[0].entry.digest), found[0].manifest)
        described += found
    body.add(INDEX_FILE, index_bytes([documents.entry.to_json() for documents in described]))
    body.add(LAYOUT_FILE, LAYOUT_BYTES)
    body.finish()
    return described
