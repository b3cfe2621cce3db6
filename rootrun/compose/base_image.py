"""The base of a run: opened, verified and unpacked, inside the namespaces, with layers on top."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rootrun import log
from rootrun.errors import StoreError
from rootrun.image.image import Layer
from rootrun.image.reference import ImageReference, Transport
from rootrun.image.source import Image, open_image, open_layer
from rootrun.layer.stack import LayerStack
from rootrun.namedtuple import NamedTuple
from rootrun.progress import Progress
from rootrun.request import ImageChoice, Scratch
from rootrun.rootfs.unpack import Unpacker
from rootrun.rootfs.verification import Verification
from rootrun.sandbox.idmap import IdMap
from rootrun.store.layer_store import VERIFIED, LayerStore, open_store
from rootrun.store.verified import VerifiedBlobs


class Cache(NamedTuple):
    """The cache of a run: the caller's, or one that goes with the run."""

    directory: Path
    blobs: VerifiedBlobs
    stays: bool

    @property
    def probe_memory(self) -> Path:
        """The file for what ``rootfs.backend`` probes."""
        return self.directory / "overlay-probe.json"


class Base:
    """An image to run steps in, and what was found out about its blobs.

    Its layers, and those that are laid on top, are unpacked when ``stack`` is first asked for.
    """

    def __init__(
        self,
        image: Image,
        unpacker: Unpacker,
        open_unpacker_of_new: Callable[[], Unpacker],
        *,
        verification: Verification,
        cache: Cache,
    ) -> None:
        self.verification = verification
        self.cache = cache
        self._image = image
        self._unpacker = unpacker
        self._open_unpacker_of_new = open_unpacker_of_new
        self._stack: LayerStack | None = None
        self._unpacker_of_new: Unpacker | None = None
        self._waiting: list[Layer] = []
        self._awaited: list[Layer] = []

    def is_verified_once_unpacked(self) -> Callable[[Layer], bool]:
        """Return who says of a layer that its blob is right, or that ``unpack`` will not end else.

        So it can be copied beside ``unpack``, which reads and hashes it anyway.
        """
        is_verified = self.verification.is_verified
        if not all(map(is_verified, self._image.layers)):
            missing = self._unpacker.missing(self._image)
            self._awaited = [layer for layer in missing if not is_verified(layer)]
        awaited = {(layer.blob, layer.diff_id, layer.digest) for layer in self._awaited}
        return lambda layer: (
            is_verified(layer) or (layer.blob, layer.diff_id, layer.digest) in awaited
        )

    @property
    def stack(self) -> LayerStack:
        """All layers, unpacked."""
        return self.unpack()

    def unpack(self) -> LayerStack:
        """Unpack what the cache lacks, and return the stack of all layers."""
        if self._stack is None:
            self._stack = self._unpacker.unpack(self._image)
            self._verify_awaited()
        while self._waiting:
            if self._unpacker_of_new is None:
                self._unpacker_of_new = self._open_unpacker_of_new()
            self._stack = self._unpacker_of_new.lay(self._waiting[0], self._stack)
            del self._waiting[0]
        return self._stack

    def _verify_awaited(self) -> None:
        """Read what was to be read while it was unpacked, and another run unpacked meanwhile."""
        for layer in self._awaited:
            if not self.verification.is_verified(layer):
                with open_layer(layer) as stream:
                    stream.verify()
                self.verification.note(layer, digest=stream.digest)

    def lay(self, layer: Layer) -> None:
        """Lay ``layer`` on top; its blob must be readable as long as ``stack`` is asked for."""
        self._waiting.append(layer)


@contextmanager
def opened_image(choice: ImageChoice, *, scratch: Path) -> Iterator[Image]:
    """Open the image that ``choice`` names, fetching it from a registry if need be.

    Reads manifest and configuration only. What must be spooled goes below ``scratch``.
    """
    spool = scratch / "image"

    def make_spool() -> Path:
        spool.mkdir(exist_ok=True)
        return spool

    local = choice.reference
    if local is not None:
        local = registry_image_on_disk(local, architecture=choice.architecture, into=make_spool)
    with open_image(
        local, ref=choice.ref, architecture=choice.architecture, scratch=make_spool
    ) as image:
        yield image


def registry_image_on_disk(
    reference: ImageReference, *, architecture: str | None, into: Callable[[], Path]
) -> ImageReference:
    """Return ``reference``, or where its image lies below ``into()`` if it names a registry."""
    if reference.transport is not Transport.DOCKER:
        return reference
    from rootrun.compose.pull import pulled  # few need it

    return pulled(reference, architecture=architecture, into=into)


@contextmanager
def opened_base(
    image: Image,
    *,
    scratch: Path,
    places: Scratch,
    id_map: IdMap,
    progress: Progress,
    keeps_new: bool = False,
) -> Iterator[Base]:
    """Open the cache for the layers of ``image``, and hold it while the context lasts.

    Must run inside the namespaces of ``id_map``. What is laid on top goes to the cache as well if
    ``keeps_new``, else below ``scratch``.
    """
    with ExitStack() as cleanup:
        own = scratch / "cache"
        store = _open_cache(cleanup, places.cache_directory, kind=id_map.key, aside=scratch)
        stays = store is not None
        store = store or cleanup.enter_context(open_store(own, kind=id_map.key))
        blobs = VerifiedBlobs(store.directory / VERIFIED)
        verification = Verification(image.layers, blobs)
        progress.ended("open cache")

        def unpacker_into(store: LayerStore) -> Unpacker:
            return Unpacker(store, ids=id_map, verification=verification, progress=progress)

        unpacker = unpacker_into(store)

        def unpacker_of_new() -> Unpacker:
            if keeps_new or not stays:
                return unpacker
            return unpacker_into(cleanup.enter_context(open_store(own, kind=id_map.key)))

        cache = Cache(store.directory, blobs, stays)
        yield Base(image, unpacker, unpacker_of_new, verification=verification, cache=cache)


def _open_cache(
    cleanup: ExitStack, directory: Path | None, *, kind: str, aside: Path
) -> LayerStore | None:
    """Open the caller's cache; None where there is none that can be used."""
    if directory is not None:
        try:
            store = open_store(directory.absolute(), kind=kind, aside=aside)
            return cleanup.enter_context(store)
        except StoreError as error:
            log.warning("passing over the cache: %s", error)
    return None
