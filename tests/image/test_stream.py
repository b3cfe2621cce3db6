"""Layers are verified while they are read."""

from pathlib import Path

import pytest

from rootrun.errors import DigestMismatchError, ImageError
from rootrun.image.compression import Compression
from rootrun.image.source import open_layer
from rootrun.image.stream import ContentStream
from tests.image.writing import opened
from tests.support.images import compressed, digest, docker_archive, oci_layout
from tests.support.tarball import file, tarball

LAYER = tarball(file("big", bytes(range(256)) * 20_000))


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_digest_of_the_blob_is_known_after_one_reading(compression: str, tmp_path: Path) -> None:
    (layer,) = opened(docker_archive(tmp_path / "a", [LAYER], compression=compression)).layers
    with open_layer(layer) as stream:
        assert stream.read(512) == LAYER[:512]
        stream.verify()
        assert stream.digest == digest(compressed(LAYER, compression))


def test_digest_is_not_told_before_all_was_verified(tmp_path: Path) -> None:
    (layer,) = opened(docker_archive(tmp_path / "a", [LAYER])).layers
    with open_layer(layer) as stream, pytest.raises(ValueError, match="not verified yet"):
        assert stream.digest


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_progress_adds_up_to_the_size_of_the_blob(compression: str, tmp_path: Path) -> None:
    (layer,) = opened(oci_layout(tmp_path / "a", [LAYER], compression=compression)).layers
    steps: list[int] = []
    with open_layer(layer, advance=steps.append) as stream:
        stream.verify()
    assert sum(steps) == layer.blob.size_bytes
    assert all(steps)


@pytest.mark.parametrize("size", [1, 511, 512, 1 << 16, 1 << 24])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_any_size_can_be_asked_for(compression: str, size: int, tmp_path: Path) -> None:
    (layer,) = opened(oci_layout(tmp_path / "a", [LAYER], compression=compression)).layers
    content = b""
    with open_layer(layer) as stream:
        while len(content) < min(3 * size, len(LAYER)):
            piece = stream.read(size)
            assert 0 < len(piece) <= size
            content += piece
        assert content == LAYER[: len(content)]
        stream.verify()
        assert stream.read(size) == b""


class _Pieces:
    """A source that gives the same bytes again and again."""

    piece = bytes(1 << 20)

    def read(self, size: int, /) -> bytes:
        """Return the whole piece, whoever asks."""
        assert size == len(self.piece)
        return self.piece


def test_what_is_not_compressed_is_passed_on_without_a_copy() -> None:
    source = _Pieces()
    stream = ContentStream(source, Compression.NONE, where="blob")
    assert stream.read(1 << 20) is source.piece


def test_blob_that_became_shorter_is_told(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar", [LAYER])
    (layer,) = opened(path).layers
    path.write_bytes(path.read_bytes()[: layer.blob.offset + 1000])
    with (
        open_layer(layer) as stream,
        pytest.raises(ImageError, match=r"a\.tar: the file ends too early"),
    ):
        stream.verify()


def test_compressed_blob_with_another_digest_is_told_even_if_the_content_is_right(
    tmp_path: Path,
) -> None:
    path = oci_layout(tmp_path / "a", [LAYER], compression="gzip")
    (layer,) = opened(path).layers
    good = layer.blob.path.read_bytes()
    layer.blob.path.write_bytes(good[:9] + bytes([good[9] ^ 1]) + good[10:])  # the OS, in gzip
    with (
        open_layer(layer) as stream,
        pytest.raises(DigestMismatchError, match="layer 1 of 1: digest: want sha256:"),
    ):
        stream.verify()
