"""Writing OCI archives: an OCI layout in one tar."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rootrun.image.archive_body import ArchiveBody
from rootrun.image.compression import Compression
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput
from rootrun.image.layout import INDEX_FILE, LAYOUT_FILE, blob_name
from rootrun.image.oci_write import LAYOUT_BYTES, describe_image, index_bytes
from rootrun.image.output_file import OutputFile, open_output_file
from rootrun.image.reference import OutputReference
from rootrun.image.written import WrittenImage, with_digest

# A reader that unpacks the archive makes missing parents itself, and gives them to root: skopeo
# of an ordinary user then fails.
_DIRECTORIES = ("blobs", "blobs/sha256")


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
            directories=_DIRECTORIES,
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

    def finish(self, config_bytes: bytes, *, names: tuple[str, ...]) -> WrittenImage:
        """Write all that describes the layers; see Sink."""
        digests = [layer.digest for layer in self.layers if layer.digest is not None]  # all
        self._body.name_layers({digest: blob_name(digest) for digest in digests})
        image = describe_image(config_bytes, self.layers, names=names, ref=self._ref)
        image_id = image.config_digest
        self._body.add(blob_name(image_id), config_bytes)
        self._body.add(blob_name(image.entry.digest), image.manifest)
        self._body.add(INDEX_FILE, index_bytes([image.entry.to_json()]))
        self._body.add(LAYOUT_FILE, LAYOUT_BYTES)
        self._body.finish()
        return WrittenImage(image_id, image.entry.digest)

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
