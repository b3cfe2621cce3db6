"""``rootrun push``: an image from disk into a registry."""

from contextlib import ExitStack

from rootrun.compose.base_image import opened_image
from rootrun.compose.skopeo import RegistryAccess, copy_image, for_skopeo
from rootrun.dataclass import dataclass
from rootrun.image.compression import Compression
from rootrun.image.digest import Digest
from rootrun.image.reference import OutputReference, Transport
from rootrun.image.registry_name import RegistryName
from rootrun.image.sink import open_sink
from rootrun.request import ImageChoice, Scratch
from rootrun.rootfs.scratch import scratch_directory

_REF = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """One push, of ``image`` to ``name``."""

    image: ImageChoice
    name: RegistryName
    access: RegistryAccess
    scratch: Scratch


def push_image(request: PushRequest) -> Digest:
    """Push an image, verified whole, and return the digest of its manifest in the registry.

    What skopeo gets is a layout of links or copies: so all that rootrun reads can be pushed, and
    the digests of compressed layers stay. Raises RootrunError.
    """
    what = f"push image: {request.name}"
    with ExitStack() as cleanup:
        scratch = cleanup.enter_context(scratch_directory(request.scratch))
        image = cleanup.enter_context(opened_image(request.image, scratch=scratch))
        layout = for_skopeo(scratch / "layout", what=what)
        target = OutputReference(transport=Transport.OCI, path=layout, ref=_REF)
        with open_sink(
            target, base=image.layers, scratch=scratch, compression=Compression.NONE
        ) as sink:
            sink.write_base(lambda _: False)
            sink.finish(image.config_bytes, names=())
            sink.commit()
        source = f"oci:{layout}:{_REF}"
        return copy_image(
            source, str(request.name), access=request.access, tmpdir=scratch, what=what
        )
