"""Opening images: finds out what is there, and reads manifest and configuration."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rootrun.dataclass import replace
from rootrun.errors import ImageError
from rootrun.image import archive, archive_v1, layout
from rootrun.image.blob import file_blob
from rootrun.image.compression import (
    CHUNK_BYTES,
    MAGIC_BYTES,
    Compression,
    Source,
    open_decompressed,
    sniff,
)
from rootrun.image.derive import scratch_config
from rootrun.image.digest import digest_of
from rootrun.image.files import DirectoryFiles, TarFiles
from rootrun.image.image import Image, Layer
from rootrun.image.reference import ImageReference, Transport
from rootrun.image.stream import LayerStream, open_layer

__all__ = ["Image", "Layer", "LayerStream", "open_image", "open_images", "open_layer"]

_STDIN = Path("-")


@contextmanager
def open_image(
    reference: ImageReference | None,
    *,
    ref: str | None,
    architecture: str | None,
    scratch: Callable[[], Path],
) -> Iterator[Image]:
    """Open the image that ``reference`` names; None is one without layers.

    ``ref`` picks one of several images, before what the reference says itself;
    ``architecture`` one of an index. Stdin, and an archive compressed as a
    whole, are written to files below ``scratch()`` that go with the context;
    the image's blobs can be read while it lasts. Images of a registry must
    have been fetched (ValueError).
    """
    if reference is None:
        yield _empty_image(architecture)
        return
    if reference.path is None:
        raise ValueError(f"not fetched yet: {reference.name}")
    with ExitStack() as cleanup:
        picked = ref or reference.ref
        if _is_directory(reference):
            files = DirectoryFiles(reference.path)
            _require_layout(files)
            yield layout.read_layout(files, ref=picked, architecture=architecture)
            return
        tar = _uncompressed(reference.path, scratch=scratch, cleanup=cleanup)
        members = TarFiles(tar, called=reference.path)
        yield _read_tar(members, reference.transport, ref=picked, architecture=architecture)


@contextmanager
def open_images(
    reference: ImageReference, *, architecture: str | None, scratch: Callable[[], Path]
) -> Iterator[tuple[Image, ...]]:
    """Open all images of a docker-archive, if ``reference`` picks none; else as ``open_image``."""
    with ExitStack() as cleanup:
        is_tar = reference.path is not None and not _is_directory(reference)
        if is_tar and reference.ref is None and reference.transport is not Transport.OCI_ARCHIVE:
            assert reference.path is not None
            tar = _uncompressed(reference.path, scratch=scratch, cleanup=cleanup)
            members = TarFiles(tar, called=reference.path)
            if archive.MANIFEST in members:
                yield archive.read_archives(members)
                return
            reference = replace(reference, path=tar)
        yield (
            cleanup.enter_context(
                open_image(reference, ref=None, architecture=architecture, scratch=scratch)
            ),
        )


def _empty_image(architecture: str | None) -> Image:
    config = scratch_config(architecture)
    content = config.to_bytes()
    return Image((), config, content, digest_of(content), ())


def _is_directory(reference: ImageReference) -> bool:
    assert reference.path is not None
    is_directory = reference.path.is_dir() and reference.path != _STDIN
    if reference.transport is Transport.OCI and not is_directory:
        why = "not a directory" if os.path.lexists(reference.path) else "No such file or directory"
        raise ImageError(f"read image: {reference.path}: {why}")
    return is_directory and reference.transport in (Transport.OCI, Transport.SNIFF)


def _require_layout(files: DirectoryFiles) -> None:
    if files.find(layout.LAYOUT_FILE) is None:
        raise ImageError(
            f"read image: {files.path}: not an OCI layout: no {layout.LAYOUT_FILE} in it"
        )


def _read_tar(
    members: TarFiles, transport: Transport, *, ref: str | None, architecture: str | None
) -> Image:
    # docker save since 25 writes both kinds into one tar: its own comes first, for the names.
    if transport is not Transport.OCI_ARCHIVE:
        if archive.MANIFEST in members:
            return archive.read_archive(members, ref=ref)
        if archive_v1.REPOSITORIES in members:
            return archive_v1.read_v1_archive(members, ref=ref)
    if transport is not Transport.DOCKER_ARCHIVE and layout.INDEX_FILE in members:
        return layout.read_layout(members, ref=ref, architecture=architecture)
    docker = f"{archive.MANIFEST} or {archive_v1.REPOSITORIES}"
    wanted = {
        Transport.DOCKER_ARCHIVE: docker,
        Transport.OCI_ARCHIVE: layout.INDEX_FILE,
    }.get(transport, f"{layout.INDEX_FILE}, {docker}")
    raise ImageError(f"read image: {members.path}: not an image: no {wanted} in it")


def _uncompressed(path: Path, *, scratch: Callable[[], Path], cleanup: ExitStack) -> Path:
    """Return a file with the tar itself; spools and decompresses where it must."""
    called = path
    if path == _STDIN:
        called = Path("stdin")
        with open(0, "rb", buffering=0, closefd=False) as stdin:
            path = _spool(stdin, scratch() / "stdin.tar", cleanup=cleanup)
    blob = file_blob(path)
    compression = sniff(blob.head(MAGIC_BYTES), where=str(called))
    if compression is Compression.NONE:
        return path
    with blob.open() as reader:
        content = open_decompressed(reader, compression, where=str(called))
        return _spool(content, scratch() / "image.tar", cleanup=cleanup)


def _spool(source: Source, target: Path, *, cleanup: ExitStack) -> Path:
    try:
        with open(target, "xb", buffering=0) as spool:
            cleanup.callback(target.unlink, missing_ok=True)
            while content := source.read(CHUNK_BYTES):
                left = memoryview(content)
                while left:
                    left = left[spool.write(left) :]
    except OSError as error:
        raise ImageError(f"spool image: {target}: {error.strerror}") from error
    return target
