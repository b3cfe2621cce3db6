"""Tables of Markdown whose last column names tests, as ``file.py::test``."""

import ast
import re
from functools import cache
from pathlib import Path

_TESTS = Path(__file__).parent.parent
_NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
_NOT_RUN = ("skip", "skipif", "xfail")


def rows_of(document: str) -> list[str]:
    """Return the rows of all tables in a file of ``tests``, without their heads."""
    lines = (_TESTS / document).read_text(encoding="utf-8").splitlines()
    return [
        line
        for line in lines
        if line.startswith("| ") and "| --- |" not in line and not line.endswith("| tests |")
    ]


def first_cell(row: str) -> str:
    """Return what a row is about."""
    return row.split(" | ", maxsplit=1)[0].strip("| ")


def last_cell(row: str) -> str:
    """Return what a row says of tests."""
    return row.rstrip(" |").rpartition(" | ")[2]


def named_tests(row: str) -> list[tuple[str, str]]:
    """Return the tests that the last cell of a row names, each by file and function.

    Fails if it says anything else but a dash: what is named in another way would not be looked for.
    """
    last = last_cell(row)
    if last == "-":
        return []
    named = _NAMED.findall(last)
    assert ", ".join(f"`{file}::{name}`" for file, name in named) == last
    return named


def missing_tests(row: str) -> list[str]:
    """Return those of the tests a row names that there are not."""
    return [f"{file}::{name}" for file, name in named_tests(row) if name not in _tests_in(file)]


def skipped_tests(row: str) -> list[str]:
    """Return those of the tests a row names that are skipped, or may fail."""
    return [f"{file}::{name}" for file, name in named_tests(row) if _is_not_run(file, name)]


def _is_not_run(file: str, name: str) -> bool:
    decorators = map(ast.unparse, _tests_in(file)[name].decorator_list)
    marks = [*decorators, *_marks_of_module(file)]
    return any(f"pytest.mark.{mark}" in text for text in marks for mark in _NOT_RUN)


@cache
def _tests_in(file: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in _body(file) if isinstance(node, ast.FunctionDef)}


@cache
def _marks_of_module(file: str) -> list[str]:
    assigned = (node for node in _body(file) if isinstance(node, ast.Assign))
    return [ast.unparse(node.value) for node in assigned if "pytestmark" in ast.unparse(node)]


@cache
def _body(file: str) -> list[ast.stmt]:
    path = _TESTS / file
    return ast.parse(path.read_text(encoding="utf-8")).body if path.is_file() else []
