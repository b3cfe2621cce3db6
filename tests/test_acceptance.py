"""ACCEPTANCE.md says which tests show which case: none is without, and all of them run."""

import re

import pytest

from tests.support.tables import first_cell, missing_tests, named_tests, rows_of, skipped_tests

_COUNT = 56
_DEFECTS = 10
_ROWS = rows_of("ACCEPTANCE.md")


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: first_cell(row)[:60])
def test_every_case_has_tests_that_run(row: str) -> None:
    assert named_tests(row)
    assert missing_tests(row) == []
    assert skipped_tests(row) == []


def test_every_number_is_there_once_and_in_order() -> None:
    cells = map(first_cell, _ROWS)
    numbers = [int(cell[2:]) for cell in cells if re.fullmatch(r"AC\d+", cell)]
    assert numbers == list(range(1, _COUNT + 1))


def test_defects_of_others_are_there() -> None:
    assert len(_ROWS) - _COUNT >= _DEFECTS
