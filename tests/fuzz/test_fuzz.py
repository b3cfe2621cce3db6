"""A little of ``make fuzz``: the same inputs each time, since the seed is fixed."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz.planted import PLANTED
from tests.fuzz.running import Outcome, fuzz_target
from tests.fuzz.targets import TARGETS
from tests.support.require import require

pytestmark = pytest.mark.slow

_RUNS = 500
_FEWER_RUNS = {"unpack": 200, "cache": 200}  # which are slow


@pytest.fixture(params=["atheris", "plain"])
def way(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return the option for each way of fuzzing."""
    if request.param == "atheris":
        require(find_spec("atheris") is not None, "atheris is not installed")
        return ()
    return ("--plain",)


def fuzz(name: str, directory: Path, way: tuple[str, ...], *, runs: int) -> Outcome:
    """Fuzz ``name`` with ``runs`` inputs."""
    return fuzz_target(name, directory, f"--runs={runs}", *way)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str, way: tuple[str, ...], tmp_path: Path) -> None:
    runs = _FEWER_RUNS.get(name, _RUNS)
    outcome = fuzz(name, tmp_path, way, runs=runs)
    assert outcome.is_clean, outcome.told
    assert outcome.inputs >= runs


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found_and_kept(name: str, way: tuple[str, ...], tmp_path: Path) -> None:
    outcome = fuzz(name, tmp_path, way, runs=100)
    assert not outcome.is_clean
    (finding,) = tmp_path.glob("finding-*")
    assert b"x" in finding.read_bytes()
    again = fuzz_target(name, tmp_path, f"--input={finding}", *way)
    assert not again.is_clean
