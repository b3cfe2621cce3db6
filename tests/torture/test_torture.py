"""A little of ``make torture``, chosen anew by no one: the seed is fixed."""

import pytest

from tests.support.require import require_program
from tests.torture.parts import PARTS, Part, run_part

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.slow]

_COUNTS = {"archives": 30, "faults": 30, "kills": 15, "stops": 9, "crowds": 3}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_nothing_is_wrong_after(part: Part) -> None:
    require_program("strace")
    told: list[str] = []
    figures = run_part(part, seed=1, count=_COUNTS[part.name], tell=told.append)
    assert (figures.runs, told) == (_COUNTS[part.name], [])
