"""``rootrun merge``: several images in one archive."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from rootrun import log
from rootrun.compose.base_image import registry_image_on_disk
from rootrun.dataclass import dataclass
from rootrun.errors import UsageError
from rootrun.image.archive_body import ArchiveBody
from rootrun.image.archive_documents import NewImage, describe_images
from rootrun.image.compression import Compression
from rootrun.image.digest import Digest, digest_of
from rootrun.image.image import Image
from rootrun.image.oci_archive_sink import DIRECTORIES, describe_layout
from rootrun.image.output_file import OutputFile, open_output_file
from rootrun.image.reference import ImageReference, OutputReference, Transport
from rootrun.image.source import open_images
from rootrun.image.written import with_digest
from rootrun.namedtuple import NamedTuple
from rootrun.request import Scratch
from rootrun.rootfs.scratch import scratch_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeRequest:
    """One merge. ``output`` is a docker-archive or an OCI archive."""

    images: tuple[ImageReference, ...]
    architecture: str | None
    output: OutputReference
    scratch: Scratch


class _Opened(NamedTuple):
    """An image, and what the user called the place where it is."""

    place: str
    image: Image


def merge_images(request: MergeRequest) -> tuple[Digest, ...]:
    """Write an archive with all images, and return their ids.

    Of an archive with several that is all of them, unless the reference picks one. What is there
    twice, an image or a layer, is written once; every digest is verified. Raises UsageError if two
    images have one name, and RootrunError; then there is no output.
    """
    with ExitStack() as cleanup:
        scratch = cleanup.enter_context(scratch_directory(request.scratch))
        output = cleanup.enter_context(open_output_file(request.output.path, scratch=scratch))
        opened = [
            opened
            for number, reference in enumerate(request.images)
            for opened in _open(
                reference, cleanup, request=request, scratch=scratch / f"image-{number}"
            )
        ]
        images = _united(opened)
        if request.output.transport is Transport.OCI_ARCHIVE:
            _write_layout(images, output)
        else:
            body = _body(images, output)
            describe_images(body, images)
        output.commit()
        return tuple(digest_of(image.config_bytes) for image in images)


def _open(
    reference: ImageReference, cleanup: ExitStack, *, request: MergeRequest, scratch: Path
) -> list[_Opened]:
    scratch.mkdir()
    local = registry_image_on_disk(
        reference, architecture=request.architecture, into=lambda: scratch
    )
    found = cleanup.enter_context(
        open_images(local, architecture=request.architecture, scratch=lambda: scratch)
    )
    place = str(reference.path or f"docker:{reference.name}")
    is_fetched = reference.path is None  # the ref in its layout is ours
    return [_Opened(place, image._replace(names=()) if is_fetched else image) for image in found]


def _united(opened: Iterable[_Opened]) -> list[NewImage]:
    """Return the images, each once, with all its names; raise UsageError for one name of two."""
    places: dict[str, str] = {}  # of names
    images: dict[Digest, NewImage] = {}
    for place, image in opened:
        names = tuple(name for name in image.names if ":" in name.rpartition("/")[2])
        if not names:
            log.warning(
                "merge: %s: an image without NAME:TAG, which it will be hard to pick", place
            )
        for name in names:
            if name in places:
                raise UsageError(
                    f"merge: {name}: the name of two images: of one in {places[name]},"
                    f" and of one in {place}"
                )
            places[name] = place
        known = images.get(image.config_digest)
        all_names = (*known.names, *names) if known else names
        images[image.config_digest] = NewImage(
            image.config_bytes, all_names, known.layers if known else image.layers
        )
    return list(images.values())


def _write_layout(images: list[NewImage], output: OutputFile) -> None:
    named = [image._replace(layers=[with_digest(one) for one in image.layers]) for image in images]
    describe_layout(_body(named, output, directories=DIRECTORIES), named, ref=None)


def _body(
    images: list[NewImage], output: OutputFile, *, directories: tuple[str, ...] = ()
) -> ArchiveBody:
    layers = tuple(layer for image in images for layer in image.layers)
    body = ArchiveBody(output, layers, compression=Compression.NONE, directories=directories)
    body.write_base(lambda _: False)
    return body
