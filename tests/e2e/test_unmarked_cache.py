"""A cache where no marks of overlayfs can be: in a container, on an old tmpfs. The same bytes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounts import overlay, overlay_of_two, without_xattrs
from tests.support.tarball import (
    device,
    directory,
    file,
    hardlink,
    opaque,
    symlink,
    tarball,
    whiteout,
)
from tests.support.workplace import Workplace, busybox_layer, content_of, layers_of

pytestmark = [pytest.mark.root, pytest.mark.userns]

BASE = (
    directory("d", mode=0o750, uid=5),
    file("d/gone"),
    file("d/kept", b"kept", mode=0o4755, xattrs={"user.x": b"1"}),
    directory("d/sub"),
    file("d/sub/gone"),
    directory("hidden", xattrs={"user.x": b"1"}),
    file("hidden/gone"),
    device("zero", 1, 5),
    symlink("link", "d"),
)
OVER = (
    whiteout("d/gone"),
    whiteout("d/sub"),
    directory("d/sub"),
    file("d/sub/new"),
    opaque("hidden"),
    file("hidden/new"),
    hardlink("d/foreign", "d/kept"),
    device("null", 1, 3),
    hardlink("d/null", "null"),
    whiteout("link"),
)
TOP = (whiteout("d/foreign"), file("d/gone", b"again"), whiteout("zero"), whiteout("nothing"))
SCRIPT = """
find /d /hidden /link /zero /nothing 2>/dev/null | sort > /seen
rm -r /d/sub; chmod 700 /d /hidden; echo >> /d/kept
touch /new; mkfifo /pipe; ln -s new /new-link; chown -h 7:8 /d/gone /hidden /new /pipe /new-link
"""
SEEN = b"/d\n/d/gone\n/d/kept\n/d/sub\n/d/sub/new\n/hidden\n/hidden/new\n"
KEEP = ("--owner", "keep")


@pytest.fixture(
    params=[overlay, overlay_of_two, without_xattrs],
    ids=["overlay", "overlay-of-two", "without-xattrs"],
)
def unmarked(request: pytest.FixtureRequest, public_path: Path) -> Iterator[Path]:
    """A place that holds no marks, for everybody."""
    directory = public_path / "unmarked"
    directory.mkdir()
    with request.param(directory) as place:
        yield place


def expected(place: Workplace) -> bytes:
    """Write ``base.tar``, and return the layer of a run with an ordinary cache."""
    place.base("base.tar", busybox_layer(), *(tarball(*layer) for layer in (BASE, OVER, TOP)))
    return built(place, "--cache-dir", "cache")


def built(place: Workplace, *args: str | Path) -> bytes:
    """Return the layer of a run that sees what the image has, and changes some of it."""
    output = place.build(SCRIPT, *KEEP, *args)
    assert content_of(output, "seen").replace(b"/d/null\n", b"") == SEEN
    return layers_of(output)[-1]


def verified(place: Workplace, cache: Path) -> bool:
    """Say whether ``rootrun cache verify`` finds ``cache`` whole."""
    return place.run("cache", "verify", "--cache-dir", cache).returncode == 0


def test_a_run_makes_the_same_layer(any_workplace: Workplace, unmarked: Path) -> None:
    layer = expected(any_workplace)
    cache = unmarked / "cache"
    assert built(any_workplace, "--cache-dir", cache) == layer
    assert verified(any_workplace, cache)
    for args in (("--cache-dir", cache, "--check"), ("--no-cache", "--tmpdir", unmarked)):
        assert built(any_workplace, *args) == layer
    assert [path.name for path in unmarked.iterdir()] == ["cache"]


def test_an_export_is_the_same(any_workplace: Workplace, unmarked: Path) -> None:
    expected(any_workplace)
    outputs = []
    for cache in ("cache", unmarked / "cache"):
        done = any_workplace.run("export", "base.tar", "-o", "all.tar", "--cache-dir", cache)
        assert done.returncode == 0, done.stderr.decode()
        outputs.append((any_workplace.path / "all.tar").read_bytes())
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("command", ["run", "export"])
def test_an_overlay_that_is_asked_for_is_refused(
    command: str, workplace: Workplace, unmarked: Path
) -> None:
    expected(workplace)
    args = (
        ["--from", "base.tar", "--script", "setup.sh"]
        if command == "run"
        else ["export", "base.tar"]
    )
    done = workplace.run(
        *args, "-o", "refused.tar", "--rootfs", "overlay", "--cache-dir", unmarked / "cache"
    )
    assert done.returncode == 125
    lines = done.stderr.decode().splitlines()
    (error,) = [line for line in lines if line.startswith("rootrun: error: ")]
    assert error.startswith("rootrun: error: mount overlay: ")
    assert error.endswith(": its file system does not hold the marks of overlayfs")
    assert "rootrun: hint: --rootfs copy does without overlayfs" in lines
    assert not (workplace.path / "refused.tar").exists()


def test_an_image_that_needs_no_marks_gets_its_overlay(
    workplace: Workplace, unmarked: Path
) -> None:
    workplace.base("base.tar", busybox_layer(), tarball(directory("d"), file("d/f")))
    output = workplace.build("rm /d/f\n", "--rootfs", "overlay", "--cache-dir", unmarked / "cache")
    assert layers_of(output)[-1]


def test_a_cache_is_believed_no_more_than_its_mount_shows(any_workplace: Workplace) -> None:
    layer = expected(any_workplace)
    place = any_workplace.path
    (place / "lower").mkdir()
    (place / "cache").rename(place / "lower/cache")
    with overlay(place) as merged:  # which hides the whiteouts that the cache has
        assert built(any_workplace, "--cache-dir", merged / "cache") == layer
        assert not verified(any_workplace, merged / "cache")
        assert verified(any_workplace, merged / "cache")  # the rest
    assert list((place / "upper/cache/layers-2").glob("*-unmarked/*/tree/hidden/new"))
    assert built(any_workplace, "--cache-dir", place / "upper/cache") == layer
    assert verified(any_workplace, place / "upper/cache")
