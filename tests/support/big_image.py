"""A base with one big layer, written as a stream: neither the test nor its disk pays for it."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, cast

from tests.support.images import dumped
from tests.support.tarball import BLOCK_BYTES, END

Packing = Literal["plain", "gzip layer", "gzip archive"]

_CHUNK_BYTES = 1 << 20


def write_big_archive(
    path: Path, bottom: bytes, *, big_file: str, size_bytes: int, packing: Packing
) -> Path:
    """Write a docker-archive of the layer ``bottom`` and one with a file of zeros.

    ``size_bytes`` is that of the file, a multiple of 512.
    """
    big = _BigLayer(big_file, size_bytes, is_compressed=packing == "gzip layer")
    diff_ids = [f"sha256:{hashlib.sha256(bottom).hexdigest()}", f"sha256:{big.diff_hex}"]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    config = dumped({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs})
    manifest = [{"Config": "c.json", "RepoTags": ["big:1"], "Layers": ["0.tar", "1.tar"]}]
    with _opened(path, packing) as target, tarfile.open(fileobj=target, mode="w|") as archive:
        for name, content in (("c.json", config), ("manifest.json", dumped(manifest))):
            _add(archive, name, io.BytesIO(content), len(content))
        _add(archive, "0.tar", io.BytesIO(bottom), len(bottom))
        _add(archive, "1.tar", big.open(), big.stored_bytes)
    return path


def _opened(path: Path, packing: Packing) -> IO[bytes]:
    if packing == "gzip archive":
        return cast(IO[bytes], gzip.GzipFile(path, "wb", compresslevel=1, mtime=0))
    return path.open("wb")


class _BigLayer:
    """The layer as it is stored: computed anew at each reading, or in memory if compressed."""

    def __init__(self, name: str, size_bytes: int, *, is_compressed: bool) -> None:
        header = tarfile.TarInfo(name)
        header.size = size_bytes
        self._parts = (header.tobuf(tarfile.USTAR_FORMAT), END)
        self._size_bytes = size_bytes
        digest, packed = hashlib.sha256(), io.BytesIO()
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as packer:
            for chunk in self._chunks():
                digest.update(chunk)
                if is_compressed:
                    packer.write(chunk)
        self.diff_hex = digest.hexdigest()
        self._packed = packed if is_compressed else None
        plain_bytes = size_bytes + BLOCK_BYTES + len(END)
        self.stored_bytes = packed.tell() if is_compressed else plain_bytes

    def open(self) -> IO[bytes]:
        """Return the stored bytes from their start."""
        if self._packed is not None:
            self._packed.seek(0)
            return self._packed
        return _Stream(self._chunks())

    def _chunks(self) -> Iterator[bytes]:
        header, end = self._parts
        yield header
        zeros = bytes(_CHUNK_BYTES)
        for offset in range(0, self._size_bytes, _CHUNK_BYTES):
            yield zeros[: self._size_bytes - offset]
        yield end


class _Stream(io.BytesIO):
    """Chunks as a file that is read to its end."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int | None = -1, /) -> bytes:
        """Return ``size`` bytes."""
        assert size is not None
        while len(self._rest) < size:
            self._rest += next(self._chunks)
        wanted, self._rest = self._rest[:size], self._rest[size:]
        return wanted


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size_bytes: int) -> None:
    header = tarfile.TarInfo(name)
    header.size = size_bytes
    archive.addfile(header, content)
