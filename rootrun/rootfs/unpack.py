"""From an image's layers to a stack of unpacked ones, through the cache."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from rootrun.errors import LayerError, StoreError, told_as
from rootrun.image.digest import Digest, hex_of
from rootrun.image.source import Image, Layer, open_layer
from rootrun.layer.entry import ROOT, EntryPath, EntryType, parent
from rootrun.layer.record import IdRanges, LayerRecord
from rootrun.layer.stack import LayerStack, UnpackedLayer
from rootrun.progress import Progress
from rootrun.rootfs.space import check_space
from rootrun.rootfs.verification import Verification
from rootrun.sha256 import sha256_of
from rootrun.store.layer_store import LayerStore

_Redirects = Mapping[EntryPath, EntryPath]


class Unpacker:
    """Unpacks layers into ``store`` under the id map ``ids``, and verifies what it reads."""

    def __init__(
        self, store: LayerStore, *, ids: IdRanges, verification: Verification, progress: Progress
    ) -> None:
        self._store = store
        self._ids = ids
        self._verification = verification
        self._progress = progress
        self._waiting: list[Layer] = []
        self._is_prepared = False
        self._unpacked: set[int] = set()  # positions; of what was told it is left out again

    def unpack(self, image: Image) -> LayerStack:
        """Return the stack of ``image``; layers that the cache has are not read.

        Raises DigestMismatchError if a layer's content is not what the image
        says, and LayerError if it cannot be unpacked.
        """
        stack = LayerStack()
        self._waiting = _effective(image.layers)
        for layer in self._waiting:
            stack = self.lay(layer, stack)
        return stack

    def missing(self, image: Image) -> list[Layer]:
        """Return the layers of ``image`` that ``unpack`` would have to read now."""
        layers = _effective(image.layers)
        return [layer for layer in layers if not self._store.has(_key(layer, {}))]

    def lay(self, layer: Layer, stack: LayerStack) -> LayerStack:
        """Return ``stack``, or another, with ``layer`` on top; else as ``unpack`` does."""
        plain = self._fetch(layer, {})
        redirects = _redirects(plain.record, stack)
        top = self._fetch(layer, redirects) if redirects else plain
        if ROOT in plain.record.opaque:
            stack = LayerStack()  # overlayfs does not look at the mark on a layer's root
        if any(other.tree == top.tree for other in stack.layers):
            # Overlayfs takes no tree twice, and the one on top covers the other whole.
            stack = LayerStack(other for other in stack.layers if other.tree != top.tree)
        stack.add(top)
        name = f"layer {layer.position} of {layer.count}"
        is_cached = layer.position not in self._unpacked
        self._unpacked.discard(layer.position)
        self._progress.ended("unpack", part=f"{name}, cached" if is_cached else name)
        return stack

    def _fetch(self, layer: Layer, redirects: _Redirects) -> UnpackedLayer:
        key = _key(layer, redirects)
        found = self._store.find(key)
        if found is not None:
            return found
        self._prepare()

        def unpack(tree_fd: int) -> LayerRecord:
            self._unpacked.add(layer.position)
            name = f"unpacking layer {layer.position} of {layer.count}"
            with self._progress.stage(name, layer.blob.size_bytes) as advance:
                record, digest = self._read(layer, tree_fd, redirects, advance=advance)
            self._verification.note(layer, digest=digest)
            return record

        return self._store.make(key, unpack)

    def _prepare(self) -> None:
        """Do once what is done before the first layer is unpacked."""
        # Here, and not at once: a warm run unpacks nothing, and asks for no layer twice.
        if self._is_prepared:
            return
        self._is_prepared = True
        missing = [layer for layer in self._waiting if not self._store.has(_key(layer, {}))]
        with told_as(StoreError, "use the cache", self._store.directory):
            check_space(missing, self._store.directory)
        if len(missing) > 1:
            self._unpack_beside(missing)

    def _unpack_beside(self, layers: list[Layer]) -> None:
        """Unpack ``layers`` with more than one core, as far as that pays."""
        from rootrun.rootfs.unpack_beside import unpack_beside

        try:
            digests = unpack_beside(layers, self._unpack_in_child, progress=self._progress)
        except BaseException:
            for layer in layers:
                self._store.sweep(_key(layer, {}))
            raise
        for layer in layers:
            if layer.position in digests:
                self._verification.note(layer, digest=digests[layer.position])
                self._unpacked.add(layer.position)
        if digests:
            self._progress.ended("unpack", part="side by side")

    def _unpack_in_child(self, layer: Layer, advance: Callable[[int], None]) -> Digest | None:
        digests: list[Digest] = []

        def unpack(tree_fd: int) -> LayerRecord:
            record, digest = self._read(layer, tree_fd, {}, advance=advance)
            digests.append(digest)
            return record

        self._store.make(_key(layer, {}), unpack)
        return digests[0] if digests else None

    def _read(
        self,
        layer: Layer,
        tree_fd: int,
        redirects: _Redirects,
        *,
        advance: Callable[[int], None],
    ) -> tuple[LayerRecord, Digest]:
        """Unpack ``layer``; return what the disk cannot hold of it, and the digest of its blob."""
        with open_layer(layer, advance=advance) as stream:
            # Only a cold cache needs it, and it brings a tenth of what a start imports.
            from rootrun.layer.apply import apply_layer
            from rootrun.rootfs.marked import marked_directories

            try:
                record = apply_layer(
                    stream,
                    tree_fd=tree_fd,
                    ids=self._ids,
                    redirects=redirects,
                    marked_directories=marked_directories,
                )
            except LayerError as error:
                # A damaged blob is told as such, not by what the damage looks like.
                stream.verify()
                where = f"unpack {layer.where}"
                if isinstance(error.__cause__, OSError):
                    where += f": {self._store.directory}"
                what = str(error).removeprefix("unpack layer: ")
                raise type(error)(f"{where}: {what}", hint=error.hint) from error
            stream.verify()
            return record, stream.digest


def _effective(layers: tuple[Layer, ...]) -> list[Layer]:
    """Return the layers without those that the same layer further up covers whole."""
    last = {layer.diff_id: index for index, layer in enumerate(layers)}
    return [layer for index, layer in enumerate(layers) if last[layer.diff_id] == index]


def _redirects(record: LayerRecord, below: LayerStack) -> _Redirects:
    """Return where the layer's entries belong below directories that it only implies.

    A layer that has ``lib/x`` and no ``lib/`` means the ``lib`` of the layers
    below, and that may be a symlink to ``usr/lib``.
    """
    redirects: dict[EntryPath, EntryPath] = {}
    settled: set[EntryPath] = set()  # what is below these needs no look
    for path in sorted(record.implicit):
        if not path:
            continue
        if _is_below(path, settled):
            settled.add(path)  # the way up from what is below this one is short
            continue
        found = below.find(path)
        if found is None:
            settled.add(path)
        elif found.entry.type is EntryType.SYMLINK:
            redirects[path] = below.resolve(path)
            settled.add(path)
    return redirects


def _is_below(path: EntryPath, directories: AbstractSet[EntryPath]) -> bool:
    # The nearest first, where there is a long way up; paths are long there, too.
    while path and directories:
        path = parent(path)
        if path in directories:
            return True
    return False


def _key(layer: Layer, redirects: _Redirects) -> str:
    if not redirects:
        return hex_of(layer.diff_id)
    text = repr(sorted(redirects.items())).encode("utf-8", "surrogateescape")
    return f"{hex_of(layer.diff_id)}.{sha256_of(text)[:16]}"
