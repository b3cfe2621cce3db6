"""Layers where the disk holds no marks of overlayfs: their records say what is missing."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rootrun.layer.entry import Entry, EntryPath
from rootrun.layer.stack import LayerStack, UnpackedLayer
from tests.support.arbitrary import ArbitraryLayer, arbitrary_layer
from tests.support.mounts import overlay, without_xattrs
from tests.support.tarball import (
    Member,
    device,
    directory,
    file,
    hardlink,
    opaque,
    tarball,
    whiteout,
)
from tests.support.unpacking import unpack

pytestmark = pytest.mark.root


@pytest.fixture(params=[overlay, without_xattrs], ids=["overlay", "without-xattrs"])
def unmarked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A place that does not hold all marks."""
    with request.param(tmp_path) as place:
        yield place


def told(place: Path, layers: list[bytes]) -> dict[EntryPath, Entry]:
    """Unpack ``layers`` at ``place`` and return what they have at each path together."""
    stack = LayerStack()
    paths: set[EntryPath] = set()
    for number, layer in enumerate(layers):
        home = place / str(number)
        home.mkdir()
        unpacked = unpack(home, layer=layer)
        paths.update(map(EntryPath, unpacked.names()))
        stack.add(UnpackedLayer(tree=unpacked.root, record=unpacked.record))
    found = {path: stack.find(path) for path in paths}
    return {path: one.entry for path, one in found.items() if one is not None}


BELOW = [directory("d"), file("d/f"), file("f"), directory("e"), file("e/f")]
LAYERS: dict[str, list[Member]] = {
    "deleted": [whiteout("d/f"), whiteout("e"), whiteout("f")],
    "deleted in a directory that is implied": [whiteout("d/f")],
    "deleted twice": [whiteout("d/f"), whiteout("d/f")],
    "deleted and made again": [whiteout("d"), directory("d"), whiteout("f"), file("f")],
    "made and deleted": [directory("d"), file("d/new"), whiteout("d"), file("f"), whiteout("f")],
    "deleted and implied": [whiteout("d"), file("d/new")],
    "opaque": [opaque("d"), file("d/new"), directory("e"), opaque("e")],
    "opaque and replaced": [opaque("d"), file("d/x"), file("d")],
    "a directory in place of a file": [file("f"), directory("f"), file("f/x")],
    "devices": [device("f", 1, 3), device("d/null", 1, 3), hardlink("d/linked", "d/null")],
    "a device that is replaced": [device("f", 1, 3), file("f", b"x"), device("n", 1, 3)],
    "a linked device that is replaced": [device("f", 1, 3), hardlink("g", "f"), file("f")],
    "foreign links": [hardlink("d/x", "e/f"), hardlink("g", "d/x"), whiteout("d/x")],
}


@pytest.mark.parametrize("case", LAYERS)
def test_what_the_disk_does_not_hold_is_known_all_the_same(
    case: str, unmarked: Path, tmp_path: Path
) -> None:
    layers = [tarball(*BELOW), tarball(*LAYERS[case])]
    (tmp_path / "disk").mkdir()
    assert told(unmarked, layers) == told(tmp_path / "disk", layers)


@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(layers=st.lists(arbitrary_layer(), min_size=1, max_size=3))
def test_whatever_the_layers_are_they_are_the_same(
    layers: list[ArbitraryLayer], unmarked: Path, tmp_path: Path
) -> None:
    contents = [layer.content for layer in layers]
    homes = [place / os.urandom(8).hex() for place in (unmarked, tmp_path)]
    for home in homes:
        home.mkdir()
    here, there = (told(home, contents) for home in homes)
    assert here == there


@pytest.mark.parametrize(
    ("mount", "lacking"),
    [(overlay, {"d/f"}), (without_xattrs, {"d", "e"})],
    ids=["overlay", "without-xattrs"],
)
def test_a_mark_that_is_missing_is_recorded(
    mount: Callable[[Path], AbstractContextManager[Path]], lacking: set[str], tmp_path: Path
) -> None:
    with mount(tmp_path) as place:
        unpacked = unpack(place, whiteout("d/f"), directory("e"), opaque("e"), file("e/f"))
        assert unpacked.record.unmarked == lacking


def test_what_is_replaced_lacks_no_mark(unmarked: Path) -> None:
    unpacked = unpack(unmarked, whiteout("d/f"), file("d"), opaque("e"), file("e"))
    assert not unpacked.record.unmarked
