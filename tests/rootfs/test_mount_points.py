"""Mount points stand below the image where they can, above it where they must."""

import os
from pathlib import Path

import pytest

from rootrun.errors import SandboxError
from rootrun.layer.entry import EntryPath
from rootrun.rootfs.extra_layer import ExtraLayer
from rootrun.rootfs.mount_points import MountPoint, lay_mount_points
from tests.support.stacks import stack_of
from tests.support.tarball import (
    Member,
    device,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    tarball,
    whiteout,
)


def names(layer: ExtraLayer) -> list[str]:
    """Return all paths in ``layer``."""
    return sorted(os.fspath(path.relative_to(layer.tree)) for path in layer.tree.rglob("*"))


def lay(
    tmp_path: Path, layers: list[list[Member]], *points: MountPoint
) -> tuple[list[str], list[str]]:
    """Lay ``points`` for an image of ``layers``, and return what is below it and above it."""
    stack = stack_of(tmp_path, *(tarball(*members) for members in layers))
    below, above = ExtraLayer(tmp_path / "below", stack), ExtraLayer(tmp_path / "above", stack)
    lay_mount_points(points, stack, below=below, above=above)
    assert below.is_empty is not below.tree.exists()
    assert above.is_empty is not above.tree.exists()
    return names(below), names(above)


DIRECTORY = MountPoint(path=EntryPath("a/p"))
FILE = MountPoint(path=EntryPath("a/p"), is_directory=False)
COVER = MountPoint(path=EntryPath("a/p"), is_directory=False, replaces_file=True)
MADE = ["a", "a/p"]

CASES: dict[str, tuple[list[list[Member]], MountPoint, list[str], list[str]]] = {
    "no layers": ([], DIRECTORY, MADE, []),
    "missing": ([[directory("a")]], DIRECTORY, MADE, []),
    "missing with its parent": ([[directory("b")]], DIRECTORY, MADE, []),
    "missing file": ([[directory("a")]], FILE, MADE, []),
    "there": ([[directory("a/p")]], DIRECTORY, [], []),
    "implied": ([[file("a/p/x")]], DIRECTORY, [], []),
    "file there": ([[file("a/p")]], FILE, [], []),
    "file there, may be covered": ([[file("a/p")]], COVER, [], []),
    "hard link there": ([[file("x")], [hardlink("a/p", "x")]], FILE, [], []),
    "symlink that may be covered": ([[symlink("a/p", "x")]], COVER, [], MADE),
    "device that may be covered": ([[device("a/p", 1, 3)]], COVER, [], MADE),
    "deleted": ([[directory("a/p")], [whiteout("a/p")]], DIRECTORY, [], MADE),
    "deleted file": ([[file("a/p")], [whiteout("a/p")]], FILE, [], MADE),
    "deleted with its parent": ([[directory("a/p")], [whiteout("a")]], DIRECTORY, [], MADE),
    "deleted and made again": ([[whiteout("a/p")], [directory("a/p")]], DIRECTORY, [], []),
    "in an opaque directory": ([[directory("a"), opaque("a")]], DIRECTORY, [], MADE),
    "in an opaque root": ([[opaque("")]], DIRECTORY, [], MADE),
    "where a file was": ([[file("a")], [whiteout("a")]], DIRECTORY, [], MADE),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_image_lacks_is_laid_where_it_is_seen(case: str, tmp_path: Path) -> None:
    layers, point, below, above = CASES[case]
    assert lay(tmp_path, layers, point) == (below, above)


REFUSED: dict[str, tuple[list[Member], MountPoint, str]] = {
    "symlink": ([symlink("a/p", "/etc")], DIRECTORY, "not an ordinary directory.* a symlink"),
    "file": ([file("a/p")], DIRECTORY, "not an ordinary directory in the image, but a file"),
    "fifo": ([fifo("a/p")], FILE, "not an ordinary file in the image, but a fifo"),
    "device": ([device("a/p", 1, 3)], FILE, "but a character device"),
    "directory": ([directory("a/p")], FILE, "not an ordinary file in the image, but a directory"),
    "directory to cover": ([directory("a/p")], COVER, "not an ordinary file"),
    "symlink above": ([symlink("a", "/etc")], DIRECTORY, "mount /a/p: /a is a symlink"),
    "file above": ([file("a")], DIRECTORY, "mount /a/p: /a is a file in the image"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_mounted_through_what_the_image_chose(case: str, tmp_path: Path) -> None:
    members, point, message = REFUSED[case]
    with pytest.raises(SandboxError, match=message):
        lay(tmp_path, [members], point)


def test_a_file_and_what_would_be_below_it_are_refused(tmp_path: Path) -> None:
    child = MountPoint(path=EntryPath("a/p/child"))
    with pytest.raises(SandboxError, match="mount /a/p/child: /a/p is to be a file"):
        lay(tmp_path, [], FILE, child)
    with pytest.raises(SandboxError, match="mount /a/p: /a/p is to be a file"):
        lay(tmp_path, [], DIRECTORY, FILE)


def test_points_may_be_given_twice_and_below_each_other(tmp_path: Path) -> None:
    child = MountPoint(path=EntryPath("a/p/child"), is_directory=False)
    points = (child, DIRECTORY, child, DIRECTORY)
    assert lay(tmp_path, [], *points) == (["a", "a/p", "a/p/child"], [])


@pytest.mark.root
def test_directories_of_the_image_keep_their_metadata_when_a_point_stands_above(
    tmp_path: Path,
) -> None:
    layers = [[directory("a", mode=0o1711, uid=3, gid=4, mtime=5), file("a/p")], [whiteout("a/p")]]
    lay(tmp_path, layers, FILE)
    status = (tmp_path / "above" / "a").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o1711, 3, 4)
    assert status.st_mtime == 5
