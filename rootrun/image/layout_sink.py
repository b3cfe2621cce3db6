"""Writing OCI layout directories: a new one, or an image more in one that is there."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rootrun.dataclass import replace
from rootrun.errors import DigestMismatchError, ImageError, OutputError
from rootrun.image.blob import file_blob
from rootrun.image.blob_copy import CREATE, link_or_copy, verify_copy
from rootrun.image.compression import Compression
from rootrun.image.digest import Digest
from rootrun.image.document import JsonObject, as_object, get_list, parse_object, to_bytes
from rootrun.image.image import Layer
from rootrun.image.layer_output import LayerOutput, open_layer_output
from rootrun.image.layout import INDEX_FILE, LAYOUT_FILE, blob_name
from rootrun.image.manifest import MAX_MANIFEST_BYTES, REF_NAME, parse_index
from rootrun.image.oci_write import LAYOUT_BYTES, OciDocuments, describe_image, index_bytes
from rootrun.image.output_file import write_at, writing
from rootrun.image.reference import OutputReference
from rootrun.image.staging import Staging, open_staging
from rootrun.image.written import WrittenImage, layer_of, with_digest, without_repetitions

_NEW_LAYER = "new-layer"


class LayoutSink:
    """An image on its way into an OCI layout directory."""

    def __init__(
        self,
        staging: Staging,
        base: tuple[Layer, ...],
        *,
        output: OutputReference,
        compression: Compression,
    ) -> None:
        self.layers = [with_digest(layer) for layer in base]
        self._staging = staging
        self._base = without_repetitions(tuple(self.layers))
        self._blobs = {key: layer.blob for key, layer in self._base.items()}
        self._output = output
        self._compression = compression
        self._image: OciDocuments | None = None

    def write_base(self, is_verified: Callable[[Layer], bool]) -> None:
        """Link or copy the base's blobs, except those that the layout has; see Sink."""
        for layer in self._base.values():
            known = is_verified(layer)
            assert layer.digest is not None
            if self._staging.joins and _has_blob(
                self._staging.target / blob_name(layer.digest), layer, is_verified=known
            ):
                continue
            path = self._put(layer)
            if not known:
                verify_copy(layer, path, offset=0)

    @contextmanager
    def new_layer(self) -> Iterator[LayerOutput]:
        """Open the next layer; see Sink."""
        path = self._staging.path / _NEW_LAYER
        with writing(self._output.path):
            descriptor = os.open(path, CREATE, 0o666)

        def write(content: bytes | memoryview, offset: int) -> None:
            with writing(self._output.path):
                write_at(descriptor, content, offset)

        try:
            with open_layer_output(write, 0, self._compression) as layer:
                yield layer
                written = layer.finish()
        finally:
            os.close(descriptor)
        with writing(self._output.path):
            if written.digest in self._blobs:
                os.unlink(path)
            else:
                os.replace(path, self._staging.path / blob_name(written.digest))
                self._note(written.digest)
        blob = self._blobs[written.digest]
        self.layers.append(layer_of(written, blob, position=len(self.layers) + 1))

    def add_layer(self, layer: Layer) -> None:
        """Link or copy the next layer; see Sink."""
        assert layer.digest is not None
        if layer.digest not in self._blobs:
            self._put(layer)
            self._note(layer.digest)
        self.layers.append(replace(layer, blob=self._blobs[layer.digest]))

    def place_layers(self, sizes_bytes: Sequence[int]) -> None:
        """Reserve nothing: each layer is a file of its own; see Sink."""

    def finish(self, config_bytes: bytes, *, names: tuple[str, ...]) -> WrittenImage:
        """Write all that describes the layers; see Sink."""
        image = describe_image(config_bytes, self.layers, names=names, ref=self._output.ref)
        with writing(self._output.path):
            self._staging.write(blob_name(image.config_digest), config_bytes)
            self._staging.write(blob_name(image.entry.digest), image.manifest)
            self._staging.write(LAYOUT_FILE, LAYOUT_BYTES)
            if not self._staging.joins:
                self._staging.write(INDEX_FILE, index_bytes([image.entry.to_json()]))
            self._staging.sync()
        self._image = image
        return WrittenImage(image.config_digest, image.entry.digest)

    def commit(self) -> None:
        """Make the image part of the layout; see Sink."""
        assert self._image is not None
        with writing(self._output.path):
            if not self._staging.joins:
                self._staging.rename()
                return
            with self._staging.locked():
                index = index_with(self._staging.target, self._image.entry.to_json())
                self._staging.write(INDEX_FILE, index)
                self._staging.sync()
                self._staging.move_in((LAYOUT_FILE, INDEX_FILE))

    def _put(self, layer: Layer) -> Path:
        """Link or copy the blob of ``layer`` to its place, and return that."""
        assert layer.digest is not None
        path = self._staging.path / blob_name(layer.digest)
        with writing(self._output.path):
            link_or_copy(layer.blob, path)
        return path

    def _note(self, digest: Digest) -> None:
        self._blobs[digest] = file_blob(self._staging.path / blob_name(digest))


@contextmanager
def open_layout_sink(
    output: OutputReference, *, base: tuple[Layer, ...], compression: Compression
) -> Iterator[LayoutSink]:
    """Open a layout directory for writing; one that is there must be readable."""
    with open_staging(output.path, marker=LAYOUT_FILE) as staging:
        if staging.joins:
            _read_index(staging.target)
        yield LayoutSink(staging, base, output=output, compression=compression)


def index_with(layout: Path, entry: JsonObject) -> bytes:
    """Return ``index.json`` of ``layout`` with ``entry`` in the place of one of the same ref."""
    index = _read_index(layout)
    others = [
        as_object(other, where=INDEX_FILE)
        for other in get_list(index, "manifests", where=INDEX_FILE)
    ]
    kept = [other for other in others if other != entry and _ref(other) != (_ref(entry) or other)]
    return to_bytes({**index, "schemaVersion": 2, "manifests": [*kept, entry]})


def _ref(entry: JsonObject) -> object:
    annotations = entry.get("annotations")
    return annotations.get(REF_NAME) if isinstance(annotations, dict) else None


def _read_index(layout: Path) -> JsonObject:
    path = layout / INDEX_FILE
    if not os.path.lexists(path):
        return {}
    where = os.fspath(path)
    try:
        content = file_blob(path).read(limit_bytes=MAX_MANIFEST_BYTES, where=where)
        parse_index(content, where=where)
    except ImageError as error:
        raise OutputError(f"write image: {layout}: {error}") from error
    return parse_object(content, where=where)


def _has_blob(path: Path, layer: Layer, *, is_verified: bool) -> bool:
    """Say whether ``path`` is the blob of ``layer``; what is damaged there is to be replaced."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size != layer.blob.size_bytes:
        return False
    if is_verified and layer.blob.whole_file and os.path.samefile(path, layer.blob.path):
        return True
    try:
        verify_copy(layer, path, offset=0)
    except DigestMismatchError:
        return False
    return True
