"""Writing docker-archives of one image."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rootrun.image.archive_body import ArchiveBody, FilePlaces
from rootrun.image.archive_documents import NewImage, describe_images
from rootrun.image.compression import Compression
from rootrun.image.digest import digest_of
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput
from rootrun.image.output_file import OutputFile, open_output_file
from rootrun.image.written import WrittenImage


class DockerArchiveSink:
    """A docker-archive in the making."""

    def __init__(
        self, output: OutputFile, base: tuple[Layer, ...], *, compression: Compression
    ) -> None:
        self._output = output
        self._compression = compression
        self._body = ArchiveBody(output, base, compression=compression)

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

    def place_layers(self, sizes_bytes: Sequence[int]) -> FilePlaces | None:
        """Reserve the next places; see Sink."""
        is_known = self._compression is Compression.NONE
        return self._body.place_layers(sizes_bytes) if is_known else None

    def finish(self, config_bytes: bytes, *, names: tuple[str, ...]) -> WrittenImage:
        """Write all that describes the layers; see Sink."""
        describe_images(self._body, [NewImage(config_bytes, names, self.layers)])
        return WrittenImage(digest_of(config_bytes), None)

    def commit(self) -> None:
        """Give the archive its name; see Sink."""
        self._output.commit()


@contextmanager
def open_archive_sink(
    target: Path, *, base: tuple[Layer, ...], scratch: Path, compression: Compression
) -> Iterator[DockerArchiveSink]:
    """Open a docker-archive for writing at ``target``."""
    output: AbstractContextManager[OutputFile] = open_output_file(target, scratch=scratch)
    with output as file:
        yield DockerArchiveSink(file, base, compression=compression)
