"""``rootrun layered`` knows layers again whose store paths did not change."""

import os
import time
from pathlib import Path

import pytest

from tests.support.image_check import CheckedImage, assert_image_valid
from tests.support.store import Store
from tests.support.traced import bytes_read, traced_run
from tests.support.workplace import Workplace

_LARGE_BYTES = 6 << 20
_TO_BE_TRUSTED_S = 1.1  # what is younger than a second is not relied on


@pytest.fixture
def store(public_path: Path) -> Store:
    """A store with two paths that are worth remembering, older than a second."""
    store = Store(directory=public_path / "store")
    words = b"".join(b"%d " % number for number in range(_LARGE_BYTES // 6))
    first = store.add("first", {"lib/first.so": words})
    store.add("second", {"lib/second.so": words[::-1]}, references=[first])
    store.write_closure(public_path / "closure.json")
    time.sleep(_TO_BE_TRUSTED_S)
    return store


def _argv(store: Store, *args: str | Path) -> list[str]:
    closure = store.directory.parent / "closure.json"
    given = ["layered", "--closure", closure, "--store-dir", store.directory, "--name", "x", *args]
    return [os.fspath(arg) for arg in given]


def _made(place: Workplace, store: Store, *args: str | Path) -> CheckedImage:
    done = place.run(*_argv(store, "-o", "out.tar", "--cache-dir", "cache", *args))
    assert done.returncode == 0, done.stderr.decode()
    return assert_image_valid(place.path / "out.tar")


def _of(store: Store, name: str) -> Path:
    (path,) = (path for path in store.graph if path.endswith(f"-{name}"))
    return Path(path)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_image_is_the_same_with_what_is_known(
    any_workplace: Workplace, store: Store, compression: str
) -> None:
    args = ("--compression", compression)
    first = _made(any_workplace, store, *args)
    written = (any_workplace.path / "out.tar").read_bytes()

    again = _made(any_workplace, store, *args)

    assert again == first
    assert (any_workplace.path / "out.tar").read_bytes() == written
    assert _made(any_workplace, store, *args, "--no-cache") == first


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_changed_is_not_known(workplace: Workplace, store: Store, compression: str) -> None:
    """A change of content alone, of the same size and with the same mtime, is one of ctime."""
    args = ("--compression", compression)
    first = _made(workplace, store, *args)
    file = _of(store, "first") / "lib/first.so"
    status = file.stat()
    file.chmod(0o644)
    with file.open("r+b") as content:
        content.write(b"changed")
    file.chmod(0o444)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    second = _made(workplace, store, *args)

    assert second.layers[0] != first.layers[0]
    assert second.layers[1] == first.layers[1]


def test_what_is_young_is_not_remembered(workplace: Workplace, store: Store) -> None:
    _of(store, "first").chmod(0o555)  # a new ctime

    _made(workplace, store)

    known = list((workplace.path / "cache/verified").glob("layer-*"))
    assert len(known) == 1, "the second path only"


@pytest.mark.root
def test_compressed_layer_is_taken_without_reading_the_store(
    root_workplace: Workplace, store: Store
) -> None:
    args = _argv(store, "-o", "out.tar", "--cache-dir", "cache", "--compression", "gzip")
    names = "read,pread64"
    first = traced_run(args, names, cwd=root_workplace.path)
    second = traced_run(args, names, cwd=root_workplace.path)

    file = _of(store, "second") / "lib/second.so"
    assert bytes_read(first, file) == file.stat().st_size
    assert bytes_read(second, file) == 0


def test_damaged_blob_is_compressed_again(workplace: Workplace, store: Store) -> None:
    first = _made(workplace, store, "--compression", "gzip")
    for blob in (workplace.path / "cache/compressed-1").glob("*/blob"):
        with blob.open("r+b") as content:
            content.seek(1000)
            content.write(b"damage")

    assert _made(workplace, store, "--compression", "gzip") == first


def test_damaged_memory_is_none(workplace: Workplace, store: Store) -> None:
    first = _made(workplace, store)
    for known in (workplace.path / "cache/verified").glob("layer-*"):
        known.write_bytes(known.read_bytes()[:-9] + b"00000000]")

    assert _made(workplace, store) == first


def test_prune_forgets(workplace: Workplace, store: Store) -> None:
    _made(workplace, store)

    assert workplace.run("cache", "prune", "--cache-dir", "cache").returncode == 0

    assert not list((workplace.path / "cache/verified").iterdir())


def test_no_cache_leaves_nothing(workplace: Workplace, store: Store) -> None:
    done = workplace.run(*_argv(store, "-o", "out.tar", "--no-cache"))

    assert done.returncode == 0, done.stderr.decode()
    assert not list(workplace.path.glob("**/layer-*"))
