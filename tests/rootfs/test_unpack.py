"""Layers become a stack through the cache; only what it lacks is read, and all that is verified."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from rootrun.errors import DigestMismatchError, LayerError
from rootrun.image.reference import parse_image_reference
from rootrun.image.source import Image, open_image
from rootrun.layer.entry import EntryPath
from rootrun.layer.removal import remove_tree
from rootrun.layer.stack import LayerStack
from rootrun.progress import Silence
from rootrun.rootfs.unpack import Unpacker
from rootrun.rootfs.verification import Verification
from rootrun.store.layer_store import open_store
from rootrun.store.verified import VerifiedBlobs
from tests.support.images import docker_archive
from tests.support.stacks import open_descriptors
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.unpacking import EVERY_ID

ONE = tarball(directory("usr/lib"), symlink("lib", "usr/lib"), file("usr/lib/a", b"a"))
TWO = tarball(file("x", b"x"))


@contextmanager
def opened(path: Path) -> Iterator[Image]:
    """Open the image at ``path``."""
    reference = parse_image_reference(os.fspath(path))
    with open_image(reference, ref=None, architecture=None, scratch=lambda: path.parent) as image:
        yield image


def unpacked(tmp_path: Path, archive: Path) -> tuple[LayerStack, Verification]:
    """Unpack the image at ``archive`` through the cache ``tmp_path/cache``."""
    with ExitStack() as cleanup:
        image = cleanup.enter_context(opened(archive))
        store = cleanup.enter_context(open_store(tmp_path / "cache", kind="root"))
        verification = Verification(image.layers, VerifiedBlobs(store.directory / "verified"))
        unpacker = Unpacker(store, ids=EVERY_ID, verification=verification, progress=Silence())
        stack = unpacker.unpack(image)
        verification.remember()
        return stack, verification


def entries_of(tmp_path: Path) -> list[str]:
    """Return the keys in the cache."""
    return sorted(os.listdir(tmp_path / "cache" / "layers-2" / "root"))


def archive(tmp_path: Path, *layers: bytes, name: str = "a.tar", compression: str = "none") -> Path:
    """Write an image that was there for a minute."""
    path = docker_archive(tmp_path / name, layers, compression=compression)
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return path


def test_layers_are_stacked_bottom_first(tmp_path: Path) -> None:
    before = open_descriptors()
    stack, _ = unpacked(tmp_path, archive(tmp_path, ONE, TWO))
    assert len(stack.layers) == 2
    assert (stack.layers[1].tree / "x").read_bytes() == b"x"
    assert open_descriptors() == before


def test_layers_that_the_cache_has_are_not_read(tmp_path: Path) -> None:
    unpacked(tmp_path, archive(tmp_path, ONE, TWO))
    other = archive(tmp_path, ONE, TWO, tarball(file("y")), name="b.tar")
    with opened(other) as image:
        layer = image.layers[0]
    with other.open("r+b") as damaged:  # what would be refused if it were read
        damaged.seek(layer.blob.offset)
        damaged.write(b"X")
    assert len(unpacked(tmp_path, other)[0].layers) == 3


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_layer_that_is_not_what_the_image_says_is_refused(
    compression: str, tmp_path: Path
) -> None:
    config = {"rootfs": {"type": "layers", "diff_ids": [f"sha256:{'0' * 64}"]}}
    path = docker_archive(tmp_path / "a.tar", [TWO], image=config, compression=compression)
    with pytest.raises(DigestMismatchError, match="layer 1 of 1"):
        unpacked(tmp_path, path)
    assert entries_of(tmp_path) == []


def test_a_layer_that_cannot_be_unpacked_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match=r"^unpack layer 2 of 2: .*leaves the rootfs"):
        unpacked(tmp_path, archive(tmp_path, TWO, tarball(file("../x"))))


def test_damage_is_told_as_such_and_not_by_what_it_looks_like(tmp_path: Path) -> None:
    path = archive(tmp_path, TWO)
    with opened(path) as image:
        offset = image.layers[0].blob.offset
    with path.open("r+b") as damaged:
        damaged.seek(offset)
        damaged.write(bytes(range(1, 100)))  # no header any more
    with pytest.raises(DigestMismatchError):
        unpacked(tmp_path, path)


def test_a_layer_listed_twice_counts_where_it_is_last(tmp_path: Path) -> None:
    stack, _ = unpacked(tmp_path, archive(tmp_path, TWO, tarball(file("x", b"y")), TWO))
    assert len(stack.layers) == 2
    found = stack.find(EntryPath("x"))
    assert found is not None
    assert (found.content.tree / "x").read_bytes() == b"x"


def test_entries_below_a_symlink_of_a_lower_layer_go_where_it_leads(tmp_path: Path) -> None:
    stack, _ = unpacked(tmp_path, archive(tmp_path, ONE, tarball(file("lib/b", b"b"))))
    assert (stack.layers[1].tree / "usr" / "lib" / "b").read_bytes() == b"b"
    found = stack.find(EntryPath("lib"))
    assert found is not None
    assert found.position == 0


def test_a_deep_path_that_no_layer_below_has_costs_little(tmp_path: Path) -> None:
    image = docker_archive(tmp_path / "image.tar", [ONE, tarball(file("d/" * 1900 + "f"))])
    directory_fd = os.open(tmp_path, os.O_RDONLY)
    started_s = time.process_time()
    try:
        unpacked(tmp_path, image)
    finally:
        took_s = time.process_time() - started_s
        remove_tree("cache", directory_fd=directory_fd)  # deeper than pytest could
        os.close(directory_fd)
    assert took_s < 4


def test_the_same_layer_over_another_base_is_another_tree(tmp_path: Path) -> None:
    upper = tarball(file("lib/b", b"b"))
    redirected, _ = unpacked(tmp_path, archive(tmp_path, ONE, upper))
    plain, _ = unpacked(tmp_path, archive(tmp_path, TWO, upper, name="b.tar"))
    assert (plain.layers[1].tree / "lib" / "b").exists()
    assert not (redirected.layers[1].tree / "lib").exists()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_was_read_is_verified_also_in_later_runs(compression: str, tmp_path: Path) -> None:
    path = archive(tmp_path, ONE, TWO, compression=compression)
    _, first = unpacked(tmp_path, path)
    _, second = unpacked(tmp_path, path)
    with opened(path) as image:
        assert [first.is_verified(layer) for layer in image.layers] == [True, True]
        assert [second.is_verified(layer) for layer in image.layers] == [True, True]


def test_what_comes_from_the_cache_of_another_file_is_not_verified(tmp_path: Path) -> None:
    unpacked(tmp_path, archive(tmp_path, ONE))
    other = archive(tmp_path, ONE, TWO, name="b.tar")
    _, verification = unpacked(tmp_path, other)
    with opened(other) as image:
        assert [verification.is_verified(layer) for layer in image.layers] == [False, True]
        verification.note_copied()
        assert all(verification.is_verified(layer) for layer in image.layers)


def test_a_modified_file_is_not_verified_any_more(tmp_path: Path) -> None:
    path = archive(tmp_path, ONE, TWO)
    unpacked(tmp_path, path)
    os.utime(path, (5, 5))
    _, verification = unpacked(tmp_path, path)
    with opened(path) as image:
        assert [verification.is_verified(layer) for layer in image.layers] == [False, False]
