"""Workplaces of all kinds of callers, for programs that use the test harness."""

from pathlib import Path

import pytest

from tests.e2e.conftest import workplace_of
from tests.support.users import Account
from tests.support.workplace import Workplace


@pytest.fixture(params=["root", "subids", "single"])
def workplace(
    request: pytest.FixtureRequest, public_path: Path, tester: Account, lone: Account
) -> Workplace:
    """A workplace of each kind of caller in turn."""
    return workplace_of(request.param, public_path / "work", tester=tester, lone=lone)


@pytest.fixture
def lone_workplace(public_path: Path, lone: Account) -> Workplace:
    """A workplace of an account with one uid."""
    return workplace_of("single", public_path / "work", tester=lone, lone=lone)
