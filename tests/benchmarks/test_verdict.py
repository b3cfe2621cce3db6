"""What the tables of the benchmarks say of numbers."""

import pytest

from benchmarks.emulation import took_ns
from benchmarks.verdict import Row, extra, ratio


@pytest.mark.parametrize(
    ("value", "met"), [(1.25, True), (1.254, True), (1.26, False), (0.5, True)]
)
def test_rows_meet_their_limit_as_it_is_shown(value: float, met: bool) -> None:
    row = Row(name="n", floor="1 s", value=value, unit="x", limit=1.25)
    assert row.is_met is met
    assert row.shown().endswith("met" if met else "MISSED")


def test_rows_without_a_limit_have_no_verdict() -> None:
    row = Row(name="n", floor="1 s", value=99.0, unit="x")
    assert row.is_met
    assert row.shown().endswith("99.00 x")


def test_ratios_and_differences_are_to_the_floor() -> None:
    assert ratio("n", value=3.0, floor=2.0, unit="s", limit=None).value == 1.5
    difference = extra("n", value=3.0, floor=2.0, unit="s", limit=0.5)
    assert difference.value == 1.0
    assert difference.floor == "2.00 s"
    assert not difference.is_met


def test_what_scripts_took_is_found_among_other_words() -> None:
    said = "Reading...\ntook new 1500\nnot took base 1\ntook base 20\n"
    assert took_ns(said) == {"new": 1500, "base": 20}
