"""Compression of blobs: told by magic numbers, undone as a stream in flat memory."""

import io
from collections.abc import Callable
from enum import Enum

from rootrun.annotation import Protocol, cast
from rootrun.errors import ImageError
from rootrun.namedtuple import NamedTuple

CHUNK_BYTES = 1 << 20
_INPUT_BYTES = 1 << 17
_FIRST_PIECE_BYTES = 1 << 10  # a decoder copies what it does not use: small pieces, small members
_MAX_EMPTY_MEMBERS = 4096  # in a row: 9 bytes of zstd each, and a decoder takes 20 microseconds
_MEMORY_LIMIT_BYTES = 256 << 20  # xz -9 asks for 65 MiB, a hostile header for any number
MAGIC_BYTES = 10


class Compression(Enum):
    """How a blob is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"


WRITABLE = (Compression.NONE, Compression.GZIP, Compression.ZSTD)
"""What the new layer can be compressed with; the others are read only."""

_MAGIC = {
    b"\x1f\x8b\x08": Compression.GZIP,
    b"\x28\xb5\x2f\xfd": Compression.ZSTD,
    b"\xfd7zXZ\x00": Compression.XZ,
}
_UNREADABLE = {b"\x04\x22\x4d\x18": "lz4", b"LZIP": "lzip", b"\x1f\x9d": "compress"}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90")  # a block, or the end of an empty file


def sniff(head: bytes, *, where: str) -> Compression:
    """Tell the compression of a blob from its first ``MAGIC_BYTES`` bytes.

    Magic numbers as in RFC 1952, RFC 8878 (skippable frames too), the .xz file
    format and bzip2. Media types and file names lie more often than these.
    """
    for magic, compression in _MAGIC.items():
        if head.startswith(magic):
            return compression
    if head[:3] == b"BZh" and head[4:10] in _BZIP2_BLOCKS:
        return Compression.BZIP2
    if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:
        return Compression.ZSTD
    for magic, name in _UNREADABLE.items():
        if head.startswith(magic):
            raise ImageError(
                f"read image: {where}: compressed with {name}, which rootrun does not read"
            )
    return Compression.NONE


class Source(Protocol):
    """What bytes are read from; ``read`` gives at most that many, and none at EOF only."""

    def read(self, size: int, /) -> bytes | None:
        """Return the next bytes."""


def open_decompressed(stream: Source, compression: Compression, *, where: str) -> "Decompressed":
    """Return a reader of what ``stream`` holds compressed.

    Memory does not depend on the content: a bomb comes out piece by piece.
    Checksums are verified by the decoders; concatenated members are one
    stream (RFC 1952, 2.2). Errors are ImageErrors that name ``where``.
    """
    return Decompressed(stream, _CODECS[compression](), where=f"{where}: {compression.value}")


class _Decoder(Protocol):
    """One member of a stream, as bz2.BZ2Decompressor has it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: memoryview, max_length: int = -1) -> bytes: ...


class _Codec(NamedTuple):
    new_decoder: Callable[[], _Decoder]
    errors: tuple[type[Exception], ...]
    has_padding: bool  # zeros may follow a member


class Decompressed(io.RawIOBase):
    """The members of a compressed stream, one after the other: what they hold, uncompressed."""

    def __init__(self, stream: Source, codec: _Codec, *, where: str) -> None:
        super().__init__()
        self._stream = stream
        self._codec = codec
        self._where = where
        self._decoder: _Decoder | None = None  # None between members
        self._input = memoryview(b"")
        self._position = 0  # in the input; what is before it was given to a decoder
        self._piece_bytes = _FIRST_PIECE_BYTES
        self._empty_members = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # no other caller
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def read(self, size: int = -1, /) -> bytes:
        """Return 1 to ``size`` bytes, none at EOF; all that there is for a negative size.

        The bytes are those that the decoder made, and not a copy.
        """
        if size < 0:
            return self.readall()
        while self._decoder is not None or self._begin_member():
            if content := self._decode(size):
                self._empty_members = 0
                return content
        return b""

    def _begin_member(self) -> bool:
        self._fill()
        while self._codec.has_padding and self._input and self._input[self._position] == 0:
            piece = bytes(self._input[self._position :][:_FIRST_PIECE_BYTES])
            self._position += len(piece) - len(piece.lstrip(b"\0"))
            self._fill()
        if not self._input:
            return False
        self._empty_members += 1
        if self._empty_members > _MAX_EMPTY_MEMBERS:
            raise ImageError(f"read image: {self._where} data is nothing but empty members")
        self._decoder = self._codec.new_decoder()
        self._piece_bytes = _FIRST_PIECE_BYTES
        return True

    def _decode(self, size: int) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        piece = memoryview(b"")
        if decoder.needs_input:
            self._fill()
            if not self._input:
                raise ImageError(f"read image: {self._where} data ends too early")
            piece = self._input[self._position :][: self._piece_bytes]
            self._position += len(piece)
            self._piece_bytes *= 2
        try:
            content = decoder.decompress(piece, size)
        except self._codec.errors as error:
            raise ImageError(f"read image: {self._where} data is damaged: {error}") from error
        if decoder.eof:
            # It is all in the input at hand: a decoder that asks for more has used what it had.
            self._position -= len(decoder.unused_data)
            self._decoder = None
        return content

    def _fill(self) -> None:
        if self._position == len(self._input):
            self._input = memoryview(self._stream.read(_INPUT_BYTES) or b"")
            self._position = 0


class _ZlibDecoder:
    """zlib's decompressobj with the interface of the other modules."""

    def __init__(self) -> None:
        import zlib

        self._object = zlib.decompressobj(wbits=31)  # 31: a gzip header, its CRC checked
        self._full = False

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def needs_input(self) -> bool:
        # A full answer may mean more of it inside, even with all input taken.
        return not (self._object.unconsumed_tail or self._full or self._object.eof)

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: memoryview, max_length: int = -1) -> bytes:
        content = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        self._full = len(content) == max_length
        return content


def _gzip() -> _Codec:
    import zlib

    try:
        from isal import igzip_lib  # twice as fast
    except ImportError:
        return _Codec(_ZlibDecoder, (zlib.error,), True)
    error = cast("type[Exception]", igzip_lib.IsalError)  # its stub says that it is an instance
    return _Codec(
        lambda: igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP), (error, ValueError), True
    )


def _zstd() -> _Codec:
    import sys

    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return _Codec(zstd.ZstdDecompressor, (zstd.ZstdError,), has_padding=False)


def _bzip2() -> _Codec:
    import bz2

    return _Codec(bz2.BZ2Decompressor, (OSError, ValueError), has_padding=False)


def _xz() -> _Codec:
    import lzma

    return _Codec(
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_LIMIT_BYTES),
        (lzma.LZMAError, MemoryError),
        has_padding=True,
    )


_CODECS = {
    Compression.GZIP: _gzip,
    Compression.ZSTD: _zstd,
    Compression.BZIP2: _bzip2,
    Compression.XZ: _xz,
}
