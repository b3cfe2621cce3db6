"""Layers that attack the one who unpacks them, through the program: refused, or kept inside."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pytest

from rootrun.errors import EXIT_ROOTRUN_FAILED
from tests.e2e.conftest import CALLERS, workplace_of
from tests.support.attacks import ATTACKS, Attack
from tests.support.images import assert_image_valid
from tests.support.public import make_public_directory, remove_directory
from tests.support.removers import becomes_empty
from tests.support.unpacking import SECRET, plant_victims, state_of
from tests.support.users import Account
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns

PLACES = ("--cache-dir", "cache", "--tmpdir", "scratch", "-o", "out.tar")


class Scene(NamedTuple):
    """A workplace whose cache is kept from attack to attack, and the victims around it."""

    place: Workplace
    victims: list[Path]
    before: dict[Path, tuple[object, ...]]

    def errors_of(self, attack: Attack) -> str:
        """Run with the layers of ``attack``, hold what it has to come to, and return the errors."""
        self.place.base("base.tar", busybox_layer(), *attack.layers)
        output = self.place.path / "out.tar"
        output.unlink(missing_ok=True)
        command = ("--", "sh", "-e", "-c", attack.holds)
        done = self.place.run("--from", "base.tar", *PLACES, *self.place.options, *command)
        errors = done.stderr.decode()
        assert state_of(*self.victims) == self.before
        assert becomes_empty(self.place.path / "scratch")
        assert done.returncode == (EXIT_ROOTRUN_FAILED if attack.refused else 0), errors
        assert output.exists() == (not attack.refused)
        if output.exists():
            assert_image_valid(output)
            assert SECRET not in output.read_bytes()
        return errors


@pytest.fixture(scope="module")
def scenes(tester: Account, lone: Account) -> Iterator[dict[str, Scene]]:
    """A scene of each kind of caller."""
    with ExitStack() as cleanup:
        path = make_public_directory("attacked")
        cleanup.callback(remove_directory, path)
        made = {}
        for caller in CALLERS:
            place = workplace_of(caller, path / caller, tester=tester, lone=lone)
            made[caller] = _scene(place, cleanup)
        yield made


def _scene(place: Workplace, cleanup: ExitStack) -> Scene:
    """Plant victims on all ways out of an unpacked layer: beside it, at home, in /tmp."""
    (place.path / "scratch").mkdir()
    place.own(place.path / "scratch")
    place.build("true", *PLACES).unlink()
    cache = place.path / "cache"
    tops = [place.path, cache, cache / "layers-2", *(cache / "layers-2").iterdir()]
    home = place.account.home if place.account else Path.home()
    for parent in (home, "/tmp"):
        tops.append(Path(tempfile.mkdtemp(prefix="victims-", dir=parent)))
        cleanup.callback(remove_directory, tops[-1])
    for top in tops:
        plant_victims(top)
        for path in (top, *(top / "outside").rglob("*"), top / "outside"):
            place.own(path)
    victims = [top / "outside" for top in tops]
    return Scene(place, victims, state_of(*victims))


# Each attack by the caller who has least, and by another one.
OTHERS = cycle(caller for caller in CALLERS if caller != "single")
CASES = [
    case
    for told in ATTACKS
    for case in ((told, "single"), pytest.param(told, next(OTHERS), marks=pytest.mark.slow))
]


@pytest.mark.parametrize(("told", "caller"), CASES)
def test_attack_of_a_layer_is_refused_or_stays_inside(
    told: str, caller: str, scenes: dict[str, Scene]
) -> None:
    scene = scenes[caller]
    outside = scene.victims[len(told) % len(scene.victims)]
    attack = ATTACKS[told](os.fspath(outside))
    errors = scene.errors_of(attack)
    assert "Traceback" not in errors
    assert "internal error" not in errors
    assert "".join(errors.split("\n")).isprintable()
    lines = [line for line in errors.split("\n") if line.startswith("rootrun: error: ")]
    assert len(lines) == (1 if attack.refused else 0)
    assert not lines or attack.refused in lines[0]
