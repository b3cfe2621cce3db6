"""Layers that attack the one who unpacks them: nothing outside is read, changed or removed.

``unpack`` itself compares all that is beside the tree before and after.
"""

import os
import stat
from pathlib import Path

import pytest

from rootrun.errors import LayerError, UnsafeEntryError
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
from tests.support.unpacking import plant_victims, unpack

CLIMBING = [
    "../outside/x",
    "a/../../outside/x",
    "/../outside/x",
    "..",
    "a/..",
    "./../x",
    "a/b/../c",
]


@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("make", ["file", "directory", "symlink", "hardlink", "fifo", "device"])
def test_name_that_climbs_is_refused(tmp_path: Path, name: str, make: str) -> None:
    plant_victims(tmp_path)
    entries = {
        "file": file(name, b"evil"),
        "directory": directory(name),
        "symlink": symlink(name, "x"),
        "hardlink": hardlink(name, "a"),
        "fifo": fifo(name),
        "device": device(name, 1, 3),
    }
    with pytest.raises(UnsafeEntryError, match="leaves the rootfs"):
        unpack(tmp_path, file("a"), entries[make])


@pytest.mark.parametrize("name", ["/etc/f", "//etc//f", "./etc/f", "/./etc/./f"])
def test_absolute_and_dotted_names_are_inside(tmp_path: Path, name: str) -> None:
    assert unpack(tmp_path, file(name)).names() == ["etc", "etc/f"]


def _outside(tmp_path: Path) -> list[str]:
    return ["../outside", "../../../../../../../../.." + os.fspath(tmp_path / "outside"),
            os.fspath(tmp_path / "outside")]  # fmt: skip


@pytest.mark.parametrize("way", [0, 1, 2], ids=["relative", "climbing", "absolute"])
@pytest.mark.parametrize(
    "entry",
    [
        file("l/secret", b"evil"),
        directory("l/directory", 0o777, mtime=5),
        symlink("l/secret", "x"),
        hardlink("l/secret", "mine"),
        fifo("l/secret"),
        whiteout("l/secret"),
        whiteout("l/directory"),
        opaque("l/directory"),
        file("l/new/deep/f"),
    ],
    ids=lambda entry: f"{entry.header.type.decode()}-{entry.header.name}",
)
def test_write_through_a_symlink_stays_inside(tmp_path: Path, way: int, entry: Member) -> None:
    plant_victims(tmp_path)
    target = _outside(tmp_path)[way]
    unpacked = unpack(tmp_path, file("mine"), symlink("l", target), entry)
    assert os.readlink(unpacked.root / "l") == target


@pytest.mark.parametrize("way", [0, 1, 2], ids=["relative", "climbing", "absolute"])
def test_write_through_two_symlinks_stays_inside(tmp_path: Path, way: int) -> None:
    plant_victims(tmp_path)
    unpack(
        tmp_path,
        symlink("one", _outside(tmp_path)[way]),
        symlink("two", "one/directory"),
        file("two/kept", b"evil"),
        whiteout("two/kept"),
    )


@pytest.mark.parametrize(
    "entry",
    [file("l", b"evil", 0o777), directory("l", 0o777), fifo("l"), device("l", 1, 3),
     symlink("l", "elsewhere"), hardlink("l", "mine"), whiteout("l")],
    ids=["file", "directory", "fifo", "device", "symlink", "hardlink", "whiteout"],
)  # fmt: skip
@pytest.mark.parametrize("victim", ["secret", "directory"])
def test_last_component_is_never_followed(tmp_path: Path, entry: Member, victim: str) -> None:
    outside = plant_victims(tmp_path)
    unpacked = unpack(tmp_path, file("mine"), symlink("l", os.fspath(outside / victim)), entry)
    if entry.header.name == "l" and not entry.header.issym():
        assert not stat.S_ISLNK(unpacked.lstat("l").st_mode)


def test_trailing_slash_does_not_make_a_symlink_be_followed(tmp_path: Path) -> None:
    outside = plant_victims(tmp_path)
    unpacked = unpack(tmp_path, symlink("l", os.fspath(outside)), directory("l/", 0o700, mtime=4))
    assert stat.S_ISDIR(unpacked.lstat("l").st_mode)


@pytest.mark.parametrize("way", [0, 1], ids=["relative", "climbing"])
def test_hard_link_that_climbs_is_refused(tmp_path: Path, way: int) -> None:
    plant_victims(tmp_path)
    with pytest.raises(UnsafeEntryError, match="leaves the rootfs"):
        unpack(tmp_path, hardlink("h", f"{_outside(tmp_path)[way]}/secret"))


def test_hard_link_to_an_absolute_path_means_the_rootfs(tmp_path: Path) -> None:
    secret = os.fspath(plant_victims(tmp_path) / "secret")
    unpacked = unpack(tmp_path, hardlink("h", secret))
    assert unpacked.record.foreign_links == {"h": secret.lstrip("/")}


@pytest.mark.parametrize("way", [0, 1, 2], ids=["relative", "climbing", "absolute"])
def test_hard_link_through_a_symlink_has_no_target(tmp_path: Path, way: int) -> None:
    plant_victims(tmp_path)
    unpacked = unpack(tmp_path, symlink("l", _outside(tmp_path)[way]), hardlink("h", "l/secret"))
    assert unpacked.record.foreign_links == {"h": "l/secret"}


def test_hard_link_to_a_symlink_out_does_not_reach_the_file(tmp_path: Path) -> None:
    outside = plant_victims(tmp_path)
    unpacked = unpack(
        tmp_path,
        symlink("l", os.fspath(outside / "secret")),
        hardlink("h", "l"),
        file("h", b"evil"),
    )
    assert (unpacked.root / "h").read_bytes() == b"evil"


@pytest.mark.parametrize(
    "root",
    [file("./"), symlink("./", "/outside"), symlink("/", "../outside"), hardlink(".", "a"),
     fifo("/."), device("./", 1, 3)],
    ids=["file", "symlink", "absolute", "hardlink", "fifo", "device"],
)  # fmt: skip
def test_root_of_another_type_is_refused(tmp_path: Path, root: Member) -> None:
    plant_victims(tmp_path)
    with pytest.raises(UnsafeEntryError, match="changes the type of the root"):
        unpack(tmp_path, file("a"), root)


def test_symlink_loop_ends(tmp_path: Path) -> None:
    with pytest.raises(UnsafeEntryError, match="too many symlinks"):
        unpack(tmp_path, symlink("a", "b"), symlink("b", "a"), file("a/f"))


def test_symlinks_that_multiply_end(tmp_path: Path) -> None:
    links = [symlink(f"l{n}", "/".join([f"l{n + 1}"] * 50)) for n in range(30)]
    with pytest.raises(LayerError, match="too many symlinks"):
        unpack(tmp_path, *links, symlink("l30", "."), file("l0/f"))


def test_path_that_symlinks_make_too_long_is_refused(tmp_path: Path) -> None:
    part = "d" * 200
    deep = "/".join([part] * 15)
    with pytest.raises(LayerError, match="too long"):
        unpack(tmp_path, directory(deep), symlink("l", deep), file(f"l/{deep}/f"))


def test_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="too long"):
        unpack(tmp_path, file("/".join(["d" * 99] * 300)))


def test_replacing_deep_trees_again_and_again_ends(tmp_path: Path) -> None:
    deep = "/".join("x" * 300)
    entries = [
        entry for _ in range(20) for entry in (file(f"a/{deep}/f"), file("a"), directory("a"))
    ]
    assert unpack(tmp_path, *entries).names() == ["a"]


def test_names_that_imply_more_directories_than_memory_are_refused(deep_path: Path) -> None:
    entries = [file(f"{n}/" + "x/" * 2000 + "f") for n in range(20)]
    with pytest.raises(LayerError, match="too many missing parents"):
        unpack(deep_path, *entries)
