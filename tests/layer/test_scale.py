"""Unpacking takes time as the entries are many, whatever they are: eight times for eight times."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.tarball import (
    Member,
    device,
    directory,
    file,
    hardlink,
    opaque,
    symlink,
    tarball,
    whiteout,
)
from tests.support.unpacking import unpack

Entries = Callable[[int], Iterator[Member]]


def _whiteouts(count: int) -> Iterator[Member]:
    return (whiteout(f"d/{n}") for n in range(count))


def _whiteouts_of_the_same_layer(count: int) -> Iterator[Member]:
    yield from (file(f"d/{n}") for n in range(count // 2))
    yield from (whiteout(f"d/{n}") for n in range(count // 2))


def _whiteouts_of_a_directory_that_is_filled_again(count: int) -> Iterator[Member]:
    for n in range(count // 2):
        yield file(f"d/{n}")
        yield whiteout("d")


def _opaque_markers_in_a_full_directory(count: int) -> Iterator[Member]:
    yield from (file(f"d/{n}") for n in range(count // 2))
    yield from (opaque("d") for _ in range(count // 2))


def _directories_that_become_files(count: int) -> Iterator[Member]:
    for _ in range(count // 3):
        yield file("d/x")
        yield file("d")
        yield directory("d")


def _links_to_links(count: int) -> Iterator[Member]:
    yield file("0")
    yield from (hardlink(f"{n}", f"{n - 1}") for n in range(1, count))


def _links_to_nothing_in_the_layer(count: int) -> Iterator[Member]:
    return (hardlink(f"{n}", "below") for n in range(count))


def _files_behind_a_symlink(count: int) -> Iterator[Member]:
    yield directory("real")
    yield symlink("l", "real")
    yield from (file(f"l/{n}") for n in range(count))


def _implied_directories(count: int) -> Iterator[Member]:
    return (file(f"{n}/a/f") for n in range(count // 2))


def _devices(count: int) -> Iterator[Member]:
    return (device(f"{n}", 1, 3) for n in range(count))


@pytest.mark.slow
@pytest.mark.parametrize(
    "entries",
    [
        _whiteouts,
        _whiteouts_of_the_same_layer,
        _whiteouts_of_a_directory_that_is_filled_again,
        _opaque_markers_in_a_full_directory,
        _directories_that_become_files,
        _links_to_links,
        _links_to_nothing_in_the_layer,
        _files_behind_a_symlink,
        _implied_directories,
        _devices,
    ],
    ids=lambda entries: entries.__name__.strip("_"),
)
def test_cost_of_unpacking_is_linear(entries: Entries, tmp_path: Path) -> None:
    """GHSA-rp3h-jf77-q9p4: with the square of the number, it would be 64 times as much."""
    few, many = (_cost_s(tmp_path / f"{count}", entries(count)) for count in (1000, 8000))
    assert many < 28 * max(few, 0.05)


def _cost_s(place: Path, entries: Iterator[Member]) -> float:
    place.mkdir()
    layer = tarball(*entries)
    started = time.process_time()
    unpack(place, layer=layer)
    return time.process_time() - started
