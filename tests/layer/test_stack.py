"""What a stack of layers has at a path is what their tars say together."""

import os
import sys
from pathlib import Path
from types import FrameType

import pytest

from rootrun.errors import UnsafeEntryError
from rootrun.layer.entry import ROOT, EntryPath, EntryType
from rootrun.layer.stack import LayerStack
from tests.support.stacks import open_descriptors, stack_of
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
from tests.support.unpacking import ONE_ID


def position_of(stack: LayerStack, path: str) -> int | None:
    """Return the layer that decides ``path``, None where nothing is seen."""
    found = stack.find(EntryPath(path))
    return None if found is None else found.position


FILE = [directory("d"), file("d/f", b"0")]
HIDING: dict[str, tuple[list[Member], int | None]] = {
    "nothing": ([file("other")], 0),
    "replaced": ([directory("d"), file("d/f", b"1")], 1),
    "replaced below an implied directory": ([file("d/f", b"1")], 1),
    "deleted": ([whiteout("d/f")], None),
    "deleted and made again": ([whiteout("d/f"), file("d/f", b"1")], 1),
    "opaque directory": ([directory("d"), opaque("d")], None),
    "opaque directory with it": ([directory("d"), opaque("d"), file("d/f")], 1),
    "opaque root": ([opaque("")], None),
    "deleted directory": ([whiteout("d")], None),
    "directory made again": ([whiteout("d"), directory("d")], None),
    "file in place of the directory": ([file("d")], None),
    "symlink in place of the directory": ([symlink("d", "other")], None),
    "device in place of it": ([device("d/f", 1, 3)], 1),
    "directory in place of it": ([directory("d/f")], 1),
}


@pytest.mark.parametrize("case", HIDING)
def test_layers_decide_what_is_seen(case: str, tmp_path: Path) -> None:
    upper, expected = HIDING[case]
    stack = stack_of(tmp_path, tarball(*FILE), tarball(*upper))
    assert position_of(stack, "d/f") == expected


@pytest.mark.parametrize("case", HIDING)
def test_layers_that_come_later_are_asked_too(case: str, tmp_path: Path) -> None:
    upper, expected = HIDING[case]
    layers = stack_of(tmp_path, tarball(*FILE), tarball(*upper), tarball(file("last"))).layers
    growing = LayerStack(layers[:1])
    assert position_of(growing, "d/f") == 0
    growing.add(layers[1])
    assert position_of(growing, "d/f") == expected
    growing.add(layers[2])
    assert position_of(growing, "d/f") == expected


@pytest.mark.parametrize("case", HIDING)
def test_decides_and_hides_below_agree_with_what_is_seen(case: str, tmp_path: Path) -> None:
    upper, expected = HIDING[case]
    stack = stack_of(tmp_path, tarball(*FILE), tarball(*upper))
    assert stack.decides(0, EntryPath("d/f")) is (expected == 0)
    assert stack.decides(1, EntryPath("d/f"))
    if expected is None:
        assert stack.hides_below(EntryPath("d/f"))


def test_what_no_layer_has_is_not_hidden(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, tarball(*FILE), tarball(directory("d")))
    assert stack.find(EntryPath("d/gone")) is None
    assert not stack.hides_below(EntryPath("d/gone"))
    assert not stack.hides_below(EntryPath("gone/too"))


def test_find_below_a_layer_does_not_see_it_nor_those_above(tmp_path: Path) -> None:
    one, two = tarball(*FILE), tarball(directory("d"), opaque("d"), file("d/f"))
    stack = stack_of(tmp_path, one, two, tarball(whiteout("d")))
    found = [stack.find(EntryPath("d/f"), below=count) for count in range(4)]
    assert [None if one is None else one.position for one in found] == [None, 0, 1, None]


def test_implied_directory_has_the_metadata_that_a_layer_below_states(tmp_path: Path) -> None:
    stated = directory("d", mode=0o1750, uid=5, gid=6, mtime=7)
    stack = stack_of(tmp_path, tarball(stated), tarball(file("d/x")), tarball(file("d/y")))
    found = stack.find(EntryPath("d"))
    assert found is not None
    assert (found.position, found.entry.mode, found.entry.uid, found.entry.gid) == (0, 0o1750, 5, 6)


@pytest.mark.parametrize(
    "between",
    [[whiteout("d")], [file("d")], [opaque("")]],
    ids=["deleted", "a file", "opaque above"],
)
def test_implied_directory_does_not_have_metadata_of_what_is_hidden(
    between: list[Member], tmp_path: Path
) -> None:
    below = tarball(directory("d", mode=0o700))
    stack = stack_of(tmp_path, below, tarball(*between), tarball(file("d/x")))
    found = stack.find(EntryPath("d"))
    assert found is not None
    assert (found.position, found.entry.mode, found.entry.uid) == (2, 0o755, 0)


def test_directory_that_an_implied_opaque_one_hides_gives_no_metadata(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, tarball(directory("d", mode=0o700)), tarball(opaque("d")))
    found = stack.find(EntryPath("d"))
    assert found is not None
    assert (found.position, found.entry.mode) == (1, 0o755)


def test_the_root_is_what_the_topmost_layer_states(tmp_path: Path) -> None:
    layers = [tarball(directory(".", mode=mode)) for mode in (0o700, 0o711)]
    assert stack_of(tmp_path, *layers, tarball(file("x"))).root().mode == 0o711


def test_the_root_of_no_layer_is_0755_of_root() -> None:
    root = LayerStack().root()
    assert (root.path, root.type, root.mode, root.uid) == (ROOT, EntryType.DIRECTORY, 0o755, 0)


def test_owners_modes_and_devices_are_the_tars_also_with_one_id(tmp_path: Path) -> None:
    layer = tarball(
        file("su", b"x", mode=0o4755, uid=3, gid=4),
        device("null", 1, 3, mode=0o666, uid=9),
        directory("d", mode=0o2755, gid=50),
        symlink("s", "su", uid=8),
    )
    stack = stack_of(tmp_path, layer, ids=ONE_ID)
    entries = {path: stack.find(EntryPath(path)) for path in ("su", "null", "d", "s")}
    told = {
        path: (found.entry.type.name, found.entry.mode, found.entry.uid, found.entry.gid)
        for path, found in entries.items()
        if found is not None
    }
    assert told == {
        "su": ("FILE", 0o4755, 3, 4),
        "null": ("CHARACTER_DEVICE", 0o666, 9, 0),
        "d": ("DIRECTORY", 0o2755, 0, 50),
        "s": ("SYMLINK", 0o777, 8, 0),
    }
    assert stack.devices == {"null"}


def test_a_link_to_a_lower_layer_is_the_file_there(tmp_path: Path) -> None:
    one = tarball(directory("usr/bin"), file("usr/bin/x", b"four", mode=0o4711, uid=7))
    links = tarball(hardlink("y", "usr/bin/x"))
    further = tarball(hardlink("z", "y"))
    found = stack_of(tmp_path, one, links, further).find(EntryPath("z"))
    assert found is not None
    entry = found.entry
    assert (entry.path, entry.mode, entry.uid, entry.size_bytes) == ("z", 0o4711, 7, 4)
    assert found.position == 2
    assert (found.content.tree / found.content.path).read_bytes() == b"four"


def test_a_link_goes_through_the_symlinks_of_lower_layers(tmp_path: Path) -> None:
    one = tarball(symlink("bin", "/usr/bin"), directory("usr/bin"), file("usr/bin/x", b"x"))
    found = stack_of(tmp_path, one, tarball(hardlink("y", "bin/x"))).find(EntryPath("y"))
    assert found is not None
    assert found.content.path == "usr/bin/x"


def test_links_that_lead_to_each_other_lead_nowhere(tmp_path: Path) -> None:
    links = tarball(hardlink("b", "a"), hardlink("a", "x"), hardlink("x", "b"))
    stack = stack_of(tmp_path, links)
    assert {name: stack.find(EntryPath(name)) for name in "abx"} == dict.fromkeys("abx")


RESOLVED = {
    "": "",
    "etc": "etc",
    "bin/sh": "usr/bin/sh",
    "var/run": "run",
    "up/x": "x",
    "chain/y": "usr/bin/y",
    "gone/../bin": "usr/bin",
    "a//./b": "a/b",
}


@pytest.mark.parametrize("path", RESOLVED, ids=repr)
def test_symlinks_are_followed_inside_the_root(path: str, tmp_path: Path) -> None:
    one = tarball(symlink("bin", "usr/bin"), symlink("var/run", "/run"), symlink("up", "../../.."))
    two = tarball(symlink("chain", "bin"))
    assert stack_of(tmp_path, one, two).resolve(EntryPath(path)) == RESOLVED[path]


def test_a_loop_of_symlinks_is_refused(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, tarball(symlink("a", "b")), tarball(symlink("b", "a")))
    with pytest.raises(UnsafeEntryError, match="'a/x': too many symlinks"):
        stack.resolve(EntryPath("a/x"))


def test_finding_costs_the_layers_that_have_the_directory_not_all(tmp_path: Path) -> None:
    layers = [tarball(directory(f"d{n}"), *(file(f"d{n}/f{m}") for m in range(20)))
              for n in range(40)]  # fmt: skip
    stack = stack_of(tmp_path, *layers)
    asked = 0

    def count(_: FrameType, event: str, callee: object) -> None:
        nonlocal asked
        asked += event == "c_call" and callee is os.lstat

    sys.setprofile(count)
    try:
        found = [stack.find(EntryPath(f"d{n}/f{m}")) for n in range(40) for m in range(20)]
    finally:
        sys.setprofile(None)
    assert None not in found
    assert asked <= 40 * 40 + 40 * 20  # each directory in each layer once, each path in one


def test_finding_leaks_no_descriptor(tmp_path: Path) -> None:
    deep = "/".join(["n" * 250] * 15)
    stack = stack_of(tmp_path, tarball(file(f"{deep}/f", b"x"), file("x")))
    before = open_descriptors()
    found = stack.find(EntryPath(f"{deep}/f"))
    assert found is not None
    assert found.entry.size_bytes == 1
    assert stack.find(EntryPath("x")) is not None
    assert open_descriptors() == before
