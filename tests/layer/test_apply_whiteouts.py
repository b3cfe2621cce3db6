"""Whiteouts and opaque directories of a layer (image-spec, layer.md, Whiteouts)."""

from itertools import permutations
from pathlib import Path

import pytest

from rootrun.errors import LayerError
from rootrun.layer.entry import ROOT, EntryPath
from tests.support.tarball import (
    Member,
    device,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    whiteout,
)
from tests.support.unpacking import unpack


def test_whiteout_becomes_a_device_of_its_target(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, directory("d"), whiteout("d/gone"), whiteout("top"))
    assert unpacked.names() == ["d", "d/gone", "top"]
    assert unpacked.is_whiteout("d/gone")
    assert unpacked.is_whiteout("top")
    assert not unpacked.recorded()


@pytest.mark.parametrize(
    "marker",
    [directory(".wh.x"), symlink(".wh.x", "t"), fifo(".wh.x")],
    ids=["directory", "symlink", "fifo"],
)
def test_marker_of_another_type_is_a_marker(tmp_path: Path, marker: Member) -> None:
    unpacked = unpack(tmp_path, marker)
    assert unpacked.names() == ["x"]
    assert unpacked.is_whiteout("x")


@pytest.mark.parametrize("entry", [file("x", b"1"), symlink("x", "y"), device("x", 1, 3)],
                         ids=["file", "symlink", "device"])  # fmt: skip
@pytest.mark.parametrize("is_first", [True, False], ids=["entry-first", "whiteout-first"])
def test_entry_of_the_same_layer_survives_its_whiteout(
    tmp_path: Path, entry: Member, is_first: bool
) -> None:
    both = [entry, whiteout("x")] if is_first else [whiteout("x"), entry]
    unpacked = unpack(tmp_path, *both)
    assert unpacked.names() == ["x"]
    assert unpacked.is_whiteout("x") == entry.header.isdev()
    assert set(unpacked.recorded()) == ({"x"} if entry.header.isdev() else set())


@pytest.mark.parametrize(
    "order", list(permutations([0, 1, 2])), ids=lambda order: "-".join(map(str, order))
)
def test_directory_that_is_deleted_and_made_anew_is_opaque(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    entries = [whiteout("d"), directory("d", 0o700), file("d/f")]
    unpacked = unpack(tmp_path, *(entries[index] for index in order))
    assert unpacked.names() == ["d", "d/f"]
    assert unpacked.is_opaque("d")
    assert unpacked.record.opaque == {"d"}
    assert unpacked.record.implicit == {ROOT}


def test_implied_directory_that_is_deleted_too_is_opaque(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, whiteout("d"), file("d/e/f"))
    assert unpacked.record.opaque == {"d"}
    assert unpacked.record.implicit == {ROOT, "d", "d/e"}


@pytest.mark.parametrize(
    "order", list(permutations([0, 1, 2])), ids=lambda order: "-".join(map(str, order))
)
def test_opaque_marker_counts_whatever_its_position(tmp_path: Path, order: tuple[int, ...]) -> None:
    entries = [opaque("d"), directory("d", 0o700), file("d/f", b"kept")]
    unpacked = unpack(tmp_path, *(entries[index] for index in order))
    assert unpacked.names() == ["d", "d/f"]
    assert unpacked.is_opaque("d")
    assert unpacked.record.opaque == {"d"}
    assert unpacked.record.implicit == {ROOT}


def test_opaque_marker_in_the_root_is_recorded(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, opaque(""), file("f"))
    assert unpacked.is_opaque("")
    assert unpacked.record.opaque == {ROOT}


def test_directory_over_another_entry_hides_the_directory_below(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("d"), directory("d"))
    assert unpacked.record.opaque == {"d"}


def test_opaque_directory_that_is_replaced_is_forgotten(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, opaque("a/d"), file("a/d/x/f"), file("a"))
    assert unpacked.names() == ["a"]
    assert not unpacked.record.opaque
    assert unpacked.record.implicit == {ROOT}


def test_whiteout_survives_twice(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, whiteout("x"), whiteout("x"), opaque("d"), opaque("d"))
    assert unpacked.is_whiteout("x")
    assert unpacked.is_opaque("d")


def test_whiteout_of_a_foreign_link_leaves_the_link(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, hardlink("x", "below/f"), whiteout("x"))
    assert unpacked.record.foreign_links == {"x": "below/f"}


def test_whiteout_of_a_device_leaves_the_device(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, device("n", 1, 3), whiteout("n"))
    assert EntryPath("n") in unpacked.recorded()


def test_whiteout_goes_where_a_symlink_of_the_layer_leads(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, directory("usr/lib"), symlink("lib", "usr/lib"), whiteout("lib/x"))
    assert unpacked.is_whiteout("usr/lib/x")


@pytest.mark.parametrize(
    "name",
    [".wh..wh.plnk", ".wh..wh.aufs", "d/.wh..wh.orph", ".wh..wh.plnk/1.2"],
)
def test_leftovers_of_aufs_are_passed_over(tmp_path: Path, name: str) -> None:
    unpacked = unpack(tmp_path, file(name, b"x" * 1000), file("f", b"y"))
    assert "f" in unpacked.names()
    assert not [path for path in unpacked.names() if ".wh." in path]


@pytest.mark.parametrize("name", [".wh.", "d/.wh.", ".wh..", ".wh...", "a/.wh..."])
def test_whiteout_of_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LayerError, match="is a whiteout of no name"):
        unpack(tmp_path, file(name))


def test_entry_below_a_whiteout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="is below a whiteout"):
        unpack(tmp_path, file(".wh.d/f"))


@pytest.mark.parametrize("name", ["a.wh.b", "x.wh.", ".whatever", ".wh", "d.wh.e/f"])
def test_names_that_only_look_like_whiteouts_are_names(tmp_path: Path, name: str) -> None:
    assert name in unpack(tmp_path, file(name)).names()
