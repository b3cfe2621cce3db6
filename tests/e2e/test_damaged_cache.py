"""A cache that was damaged gives the same image or one line; ``cache verify`` finds the rest."""

import json
from pathlib import Path

import pytest

from tests.store.damage import DAMAGE, FOUND_AT_ONCE, OWNERS, STALE
from tests.support.tarball import directory, file, symlink, tarball
from tests.support.workplace import Workplace, busybox_layer

pytestmark = [pytest.mark.root, pytest.mark.userns]

SCRIPT = "(cat /d/f; readlink /l; find / -xdev | sort; ls -ln /d) > /said\n"
LAYER = tarball(directory("d", mode=0o750), file("d/f", b"content", mode=0o640), symlink("l", "d"))
AT_ONCE = ("record cut", "record of another layer", "half written", "tree a symlink",
           "entry a symlink", "open to others")  # fmt: skip
BY_VERIFYING = ("content", "mode", "missing", "extra", "link", "attribute")


@pytest.fixture(params=["workplace", "lone_workplace"])
def place(request: pytest.FixtureRequest) -> Workplace:
    """A workplace with a base, as a caller with subordinate ids and with one id."""
    place: Workplace = request.getfixturevalue(request.param)
    place.base("base.tar", busybox_layer(), LAYER)
    return place


def built(place: Workplace) -> bytes:
    """Return the image that a run with the cache makes."""
    return place.build(SCRIPT, "--cache-dir", "cache").read_bytes()


def entry_of(place: Workplace) -> Path:
    """Return the entry of LAYER in the cache."""
    (found,) = (place.path / "cache").glob("layers-2/*/*/tree/d")
    return found.parent.parent


def problems(place: Workplace) -> list[str]:
    """Return what ``cache verify`` finds; its status has to agree."""
    done = place.run("cache", "verify", "--json", "--cache-dir", "cache")
    layers = json.loads(done.stdout)["layers"]
    found = [layer["problem"] for layer in layers if layer["problem"]]
    assert done.returncode == bool(found), done.stderr.decode()
    return found


@pytest.mark.parametrize("case", [*AT_ONCE, *STALE])
def test_damage_that_a_run_meets_changes_no_image(case: str, place: Workplace) -> None:
    image = built(place)
    {**FOUND_AT_ONCE, **STALE}[case](entry_of(place))
    assert built(place) == image
    assert problems(place) == []
    assert built(place) == image


@pytest.mark.parametrize("case", [*AT_ONCE, *BY_VERIFYING, "owner", "owner of a symlink"])
def test_verifying_finds_damage_and_mends_the_cache(case: str, place: Workplace) -> None:
    image = built(place)
    {**DAMAGE, **OWNERS}[case](entry_of(place))
    assert len(problems(place)) == 1
    assert problems(place) == []
    assert built(place) == image


@pytest.mark.parametrize("case", ["owner of the entry", "owner of a directory"])
def test_what_somebody_else_owns_is_told_where_it_cannot_be_removed(
    case: str, place: Workplace
) -> None:
    built(place)
    OWNERS[case](entry_of(place))
    (problem,) = problems(place)
    assert "; remove from the cache: " in problem
    assert problems(place) != []
    place.write("setup.sh", SCRIPT)
    done = place.run(
        "--from", "base.tar", "--script", "setup.sh", "-o", "2.tar", "--cache-dir", "cache"
    )
    assert done.returncode == 125
    assert done.stderr.count(b"rootrun: error: use the cache: ") == 1
    assert not (place.path / "2.tar").exists()


@pytest.mark.parametrize("part", ["layers-2", "locks"])
def test_a_part_that_leads_elsewhere_is_passed_over(part: str, place: Workplace) -> None:
    image = built(place)
    outside = place.path / "outside"
    (place.path / "cache" / part).rename(outside)
    (place.path / "cache" / part).symlink_to(outside)
    before = sorted(outside.rglob("*"))
    assert built(place) == image
    assert sorted(outside.rglob("*")) == before
    for action in ("verify", "prune"):
        done = place.run("cache", action, "--cache-dir", "cache")
        assert done.returncode == 125
        assert b"is not a directory of this user's alone" in done.stderr
    assert sorted(outside.rglob("*")) == before
