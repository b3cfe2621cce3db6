"""Fetching images from a registry: as the base of a run, and into an archive."""

import hashlib
from binascii import b2a_base64
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from rootrun import log
from rootrun.compose.skopeo import RegistryAccess, copy_image, digest_of_name, for_skopeo
from rootrun.dataclass import dataclass, replace
from rootrun.errors import OutputError, UsageError, told_as
from rootrun.image.blob import Blob, file_blob
from rootrun.image.blob_copy import copy_blob
from rootrun.image.compression import CHUNK_BYTES
from rootrun.image.digest import Digest
from rootrun.image.image import Image
from rootrun.image.output_file import open_output_file
from rootrun.image.reference import ImageReference, OutputReference, Transport
from rootrun.image.registry_name import RegistryName, parse_registry_name
from rootrun.image.source import open_image, open_layer
from rootrun.namedtuple import NamedTuple
from rootrun.request import Scratch
from rootrun.rootfs.scratch import scratch_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """One pull. ``output`` is a docker-archive or an OCI archive; None: nothing stays."""

    name: RegistryName
    final_name: str  # in the archive
    final_tag: str
    access: RegistryAccess
    output: OutputReference | None
    scratch: Scratch


class Pulled(NamedTuple):
    """What was fetched. ``sha256`` is of the archive as a file, hexadecimal."""

    digest: Digest  # of the manifest, or of the index that the name leads to
    image_id: Digest
    architecture: str
    sha256: str

    @property
    def sri(self) -> str:
        """The hash of the archive as Nix writes it (Subresource Integrity)."""
        return f"sha256-{b2a_base64(bytes.fromhex(self.sha256), newline=False).decode()}"


def pulled(
    reference: ImageReference, *, architecture: str | None, into: Callable[[], Path]
) -> ImageReference:
    """Return where the image of a registry lies on disk after a fetch.

    The image must be named by digest: a tag means something else tomorrow.
    Raises UsageError where it is not, HelperError if skopeo fails.
    """
    text = f"docker:{reference.name}"
    name = parse_registry_name(text)
    if name.digest is None:
        raise UsageError(
            f"--from: {text}: names no digest",
            hint=f"skopeo inspect --format '{{{{.Digest}}}}' {text} prints it",
        )
    what = f"fetch image: {text}"
    directory = for_skopeo(into() / "registry", what=what)
    access = RegistryAccess(architecture=architecture)
    copy_image(
        str(name), f"oci:{directory}:base", access=access, tmpdir=directory.parent, what=what
    )
    return replace(reference, transport=Transport.OCI, path=directory, ref=None, name=None)


def pull_image(request: PullRequest) -> Pulled:
    """Fetch an image into one archive, and verify all of it.

    A tag is resolved first, so that what is fetched is what the digest says. The archive is
    skopeo's own, byte for byte, as pullImage of dockerTools has it. Raises RootrunError; then there
    is no output.
    """
    what = f"fetch image: {request.name}"
    with ExitStack() as cleanup:
        scratch = cleanup.enter_context(scratch_directory(request.scratch))
        file = for_skopeo(scratch / "image.tar", what=what)
        output = None
        if request.output is not None:  # first: a place that cannot be written to is told early
            target = request.output.path
            output = cleanup.enter_context(open_output_file(target, scratch=scratch))
        access, name = request.access, request.name
        digest = name.digest
        if digest is None:
            digest = digest_of_name(str(name), access=access, tmpdir=scratch, what=what)
            log.info("digest: %s", digest)
        transport = request.output.transport if request.output else Transport.DOCKER_ARCHIVE
        target_name = f"{transport.value}:{file}:{request.final_name}:{request.final_tag}"
        copy_image(
            str(name._replace(digest=digest)), target_name, access=access, tmpdir=scratch, what=what
        )
        reference = ImageReference(transport=transport, path=file)
        image = cleanup.enter_context(
            open_image(reference, ref=None, architecture=None, scratch=lambda: scratch)
        )
        _verify(image)
        blob = file_blob(file)
        if output is not None:
            with told_as(OutputError, "write image", output.target):
                copy_blob(blob, into=output.descriptor, at=0)
                output.sync()
            output.commit()
        return Pulled(digest, image.config_digest, image.config.architecture, _sha256_of(blob))


def _verify(image: Image) -> None:
    for layer in image.layers:
        with open_layer(layer) as stream:
            stream.verify()


def _sha256_of(blob: Blob) -> str:
    digest = hashlib.sha256()
    with blob.open() as reader:
        while piece := reader.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()
