"""RULES.md says which tests hold which rule: they must exist."""

import pytest

from tests.support.tables import first_cell, missing_tests, rows_of

_ROWS = rows_of("RULES.md")


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: first_cell(row)[:60])
def test_every_test_that_a_rule_names_exists(row: str) -> None:
    assert missing_tests(row) == []


def test_rules_are_read() -> None:
    assert len(_ROWS) > 80
