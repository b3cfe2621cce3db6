"""Images that attack ``--copy``: what is copied lands inside, whatever links the image has."""

import os
from pathlib import Path

import pytest

from tests.support.tarball import Member, directory, file, symlink, tarball, whiteout
from tests.support.unpacking import plant_victims, state_of
from tests.support.workplace import Workplace, busybox_layer, content_of, top_layer

pytestmark = pytest.mark.userns

UP = "../" * 30
MINE = b"of the caller"
# By the destination of the file "mine": where it is then; "{to}" is a directory outside.
PLACES = {
    "/l/secret": "{to}/secret",
    "/l/": "{to}/mine",
    "/l/new/deep/": "{to}/new/deep/mine",
    "/hop/directory/kept": "{to}/directory/kept",
    "/file": "file",
    "/gone/": "{to}/gone/mine",
    "/dangling": "dangling",
    "/etc/passwd": "{to}/passwd",
}


@pytest.fixture
def outside(any_workplace: Workplace) -> Path:
    """What nothing may change."""
    path = plant_victims(any_workplace.path)
    for place in (path, *path.rglob("*")):
        any_workplace.own(place)
    return path


def base_of(place: Workplace, outside: Path, way: str) -> Path:
    """Write an image whose links lead to ``outside``, and a file ``mine``."""
    to = f"{UP}{outside}" if way == "climbing" else f"{outside}"
    links: list[Member] = [
        symlink("l", to),
        symlink("hop", "l/."),
        symlink("file", f"{to}/secret"),
        symlink("gone", f"{to}/gone"),
        symlink("dangling", f"{to}/dangling"),
        symlink("etc", to),
    ]
    place.write("mine", MINE)
    return place.base("base.tar", busybox_layer(), tarball(whiteout("etc")), tarball(*links))


@pytest.mark.parametrize("way", ["absolute", "climbing"])
def test_files_are_copied_through_no_link_out_of_the_root(
    way: str, any_workplace: Workplace, outside: Path
) -> None:
    base = base_of(any_workplace, outside, way)
    before = state_of(outside)
    copies = [arg for destination in PLACES for arg in ("--copy", f"mine:{destination}")]
    output = any_workplace.build(":", *copies, base=base)
    assert state_of(outside) == before
    inside = os.fspath(outside).lstrip("/")
    found = {path: content_of(output, path.format(to=inside)) for path in PLACES.values()}
    assert found == dict.fromkeys(PLACES.values(), MINE)


@pytest.mark.parametrize("way", ["absolute", "climbing"])
def test_a_directory_is_merged_through_no_link_out_of_the_root(
    way: str, any_workplace: Workplace, outside: Path
) -> None:
    base = base_of(any_workplace, outside, way)
    for name in ("tree/l/directory", "tree/etc", "tree/gone"):
        (any_workplace.path / name).mkdir(parents=True)
        any_workplace.write(f"{name}/secret", MINE)
    (any_workplace.path / "tree" / "file").write_bytes(MINE)
    before = state_of(outside)
    output = any_workplace.build(":", "--copy", "tree:/", base=base)
    assert state_of(outside) == before
    inside = os.fspath(outside).lstrip("/")
    for path in ("secret", "directory/secret", "gone/secret"):
        assert content_of(output, f"{inside}/{path}") == MINE
    assert content_of(output, "file") == MINE


def test_loops_and_files_in_the_way_of_a_copy_are_told(any_workplace: Workplace) -> None:
    place = any_workplace
    place.write("mine", MINE)
    loop = (symlink("a", "b"), symlink("b", "a"), file("f"), directory("d", 0o000))
    place.base("base.tar", busybox_layer(), tarball(*loop))
    for destination, why in {"/a/x": "too many symlinks", "/f/x": "is not a directory"}.items():
        done = place.run(
            *("--from", "base.tar", "-o", "o.tar", "--copy", f"mine:{destination}"),
            *(*place.options, "--", "true"),
        )
        assert done.returncode == 125
        assert f"--copy: {destination}: in the image: " in done.stderr.decode()
        assert why in done.stderr.decode()
    assert "d/x" in top_layer(place.build(":", "--copy", "mine:/d/x"))
