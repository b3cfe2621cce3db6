"""Real programs do for a user of one uid what they do with many: the layers are the same bytes."""

import pytest

from tests.e2e.programs.pair import SCRIPTS, Pair

pytestmark = [pytest.mark.userns, pytest.mark.peers, pytest.mark.slow]

WITH_DEVICES = ("copying", "devices", "stat")
APART = ("install", "tools")
PLAIN = sorted({script.stem for script in SCRIPTS.iterdir()} - {*WITH_DEVICES, *APART})


@pytest.mark.parametrize("name", PLAIN)
def test_programs_give_the_layer_of_real_ids(name: str, pair: Pair) -> None:
    pair.assert_same_layer(name)


@pytest.mark.parametrize("name", WITH_DEVICES)
def test_programs_that_make_devices_give_the_layer_of_real_ids(name: str, pair: Pair) -> None:
    pair.assert_same_layer(name, helped=True)
