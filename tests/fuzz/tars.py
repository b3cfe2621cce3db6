"""Tars: read, unpacked, and as the archives that hold images; and their compression."""

import io
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from rootrun.dataclass import replace
from rootrun.errors import UnsafeEntryError
from rootrun.image.compression import MAGIC_BYTES, Compression, open_decompressed, sniff
from rootrun.image.reference import ImageReference, Transport
from rootrun.image.source import open_image, open_layer
from rootrun.layer.entry import ROOT, Entry
from rootrun.layer.header import BLOCK_BYTES, ZERO_BLOCK, header_bytes
from rootrun.layer.listing import list_tree
from rootrun.layer.stack import LayerStack, UnpackedLayer
from rootrun.layer.tar_reader import TarReader
from rootrun.rootfs.base_view import BaseView
from tests.support.public import remove_directory
from tests.support.stacks import OPEN_DIRECTORY, unpacked_layer
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.unpacking import plant_victims, unpack

_PIECE_BYTES = 1 << 20
_MOST_BYTES = 16 << 20  # of what an input decompresses to
_CHECKSUM = slice(148, 156)


def take_layer(content: bytes) -> None:
    """Read a layer: of one entry all, of the next one the start, of the third one nothing."""
    reader = TarReader(io.BytesIO(content))
    for number, entry in enumerate(reader):
        assert not entry.path.startswith("/")
        assert not {".", ".."} & set(entry.path.split("/"))
        assert b"\0" not in os.fsencode(entry.path + entry.link_target)
        if number % 3 == 0:
            _read_segments(reader, entry)
        elif number % 3 == 1:
            wanted = min(entry.size_bytes, _PIECE_BYTES)
            assert len(reader.read(wanted)) == wanted
        _assert_written_as_read(entry)


def _read_segments(reader: TarReader, entry: Entry) -> None:
    position = 0
    for offset, piece in reader.segments():
        assert offset >= position
        position = offset + len(piece)
    assert position <= entry.size_bytes


def _assert_written_as_read(entry: Entry) -> None:
    empty = replace(entry, size_bytes=0)
    (again,) = TarReader(io.BytesIO(header_bytes(empty) + 2 * ZERO_BLOCK))
    assert again == empty


def take_unpack(content: bytes) -> None:
    """Unpack a layer, list it, and look up all of it above another layer."""
    place, base = _ground()
    try:
        unpacked = unpack(place, layer=content)
        layer = UnpackedLayer(tree=unpacked.root, record=unpacked.record)
        _list(LayerStack([layer]))
        stack = LayerStack([base, layer])
        for path in (*unpacked.record.entries, *unpacked.record.foreign_links, ROOT):
            stack.find(path)
            with suppress(UnsafeEntryError):
                stack.resolve(path)
    finally:
        remove_directory(place / "tree")


def _list(stack: LayerStack) -> None:
    fd = os.open(stack.layers[0].tree, OPEN_DIRECTORY)
    try:
        view = BaseView(stack, root_status=os.fstat(fd))
        paths = [change.entry.path for change in list_tree(fd, view, mtime_s=1)]
        assert len(set(paths)) == len(paths)
    finally:
        os.close(fd)


@cache
def _ground() -> tuple[Path, UnpackedLayer]:
    """Make a place with victims, and a layer; they stay as long as the process."""
    place = Path(tempfile.mkdtemp(prefix="rootrun-fuzz-"))
    plant_victims(place)
    below = tarball(directory("a"), file("a/b", b"x"), symlink("l", "a"), symlink("s", "/l/../s"))
    return place, unpacked_layer(Path(tempfile.mkdtemp(prefix="rootrun-fuzz-"), "tree"), below)


def take_archive(content: bytes) -> None:
    """Open an archive of an image and read its layers to the end."""
    place, _ = _ground()
    path = place / "tree"
    path.write_bytes(content)
    reference = ImageReference(transport=Transport.SNIFF, path=path)
    try:
        with open_image(reference, ref=None, architecture=None, scratch=lambda: place) as image:
            for layer in image.layers:
                with open_layer(layer) as stream:
                    left_bytes = _MOST_BYTES
                    while left_bytes and (piece := stream.read(min(_PIECE_BYTES, left_bytes))):
                        left_bytes -= len(piece)
                    if left_bytes:
                        stream.verify()
    finally:
        path.unlink()


def take_compressed(content: bytes) -> None:
    """Decompress, up to a limit: a bomb comes out piece by piece."""
    compression = sniff(content[:MAGIC_BYTES], where="fuzz")
    if compression is Compression.NONE:
        return
    reader = open_decompressed(io.BytesIO(content), compression, where="fuzz")
    left_bytes = _MOST_BYTES
    while left_bytes > 0 and (piece := reader.read(_PIECE_BYTES)):
        assert len(piece) <= _PIECE_BYTES
        left_bytes -= len(piece)


def with_right_checksums(content: bytes) -> bytes:
    """Return ``content`` with the checksum of each block that looks like a header of ustar."""
    repaired = bytearray(content)
    for start in range(0, len(content) - BLOCK_BYTES + 1, BLOCK_BYTES):
        block = bytearray(content[start : start + BLOCK_BYTES])
        if block[257:262] == b"ustar":
            block[_CHECKSUM] = b" " * 8
            block[_CHECKSUM] = b"%06o\0 " % sum(block)
            repaired[start : start + BLOCK_BYTES] = block
    return bytes(repaired)
