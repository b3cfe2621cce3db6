"""RULES.md says which tests hold which rule: they must exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

_TESTS = Path(__file__).parent
_ROWS = [
    line
    for line in (_TESTS / "RULES.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and "| --- |" not in line and not line.endswith("| tests |")
]
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


@cache
def _tests_in(file: str) -> set[str]:
    path = _TESTS / file
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row.split(" | ")[0].strip("| ")[:60])
def test_every_test_that_a_rule_names_exists(row: str) -> None:
    last = row.rstrip(" |").rpartition(" | ")[2]
    named = _NAMED.findall(last)
    assert last == "-" or named, "a row names its tests, or says by a dash that there is none"
    missing = [f"{file}::{name}" for file, name in named if name not in _tests_in(file)]
    assert not missing
    # What is named in another way would not be looked for.
    assert last == "-" or ", ".join(f"`{file}::{name}`" for file, name in named) == last


def test_rules_are_read() -> None:
    assert len(_ROWS) > 80
