"""The base of a run: opened, verified and unpacked, inside the namespaces."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rootrun.compose.pull import pulled
from rootrun.dataclass import dataclass
from rootrun.errors import StoreError
from rootrun.image.source import Image, open_image
from rootrun.layer.stack import LayerStack
from rootrun.progress import Progress
from rootrun.request import ImageChoice, Scratch
from rootrun.rootfs.unpack import Unpacker
from rootrun.rootfs.verification import Verification
from rootrun.sandbox.idmap import IdMap
from rootrun.store.layer_store import VERIFIED, LayerStore, open_store
from rootrun.store.verified import VerifiedBlobs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedBase:
    """An image whose layers are unpacked, and what was found out about its blobs."""

    stack: LayerStack
    verification: Verification
    probe_memory: Path  # for rootfs.backend


@contextmanager
def opened_image(choice: ImageChoice, *, scratch: Path) -> Iterator[Image]:
    """Open the image that ``choice`` names, fetching it from a registry if need be.

    Reads manifest and configuration only. What must be spooled goes below ``scratch``.
    """
    spool = scratch / "image"

    def make_spool() -> Path:
        spool.mkdir(exist_ok=True)
        return spool

    local = pulled(choice.reference, architecture=choice.architecture, into=make_spool)
    with open_image(
        local, ref=choice.ref, architecture=choice.architecture, scratch=make_spool
    ) as image:
        yield image


@contextmanager
def unpacked_base(
    image: Image, *, scratch: Path, places: Scratch, id_map: IdMap, progress: Progress
) -> Iterator[UnpackedBase]:
    """Unpack the layers of ``image`` that the cache lacks; hold the cache while it lasts.

    Must run inside the namespaces of ``id_map``.
    """
    with ExitStack() as cleanup:
        store = _open_cache(cleanup, places.cache_directory, scratch=scratch, kind=id_map.key)
        memory = VerifiedBlobs(store.directory / VERIFIED)
        verification = Verification(image, memory)
        progress.ended("open cache")
        unpacker = Unpacker(store, ids=id_map, verification=verification, progress=progress)
        yield UnpackedBase(
            stack=unpacker.unpack(image),
            verification=verification,
            probe_memory=store.directory / "overlay-probe.json",
        )


def _open_cache(
    cleanup: ExitStack, directory: Path | None, *, scratch: Path, kind: str
) -> LayerStore:
    if directory is not None:
        try:
            return cleanup.enter_context(open_store(directory.absolute(), kind=kind))
        except StoreError as error:
            log.warning("passing over the cache: %s", error)
    return cleanup.enter_context(open_store(scratch / "cache", kind=kind))
