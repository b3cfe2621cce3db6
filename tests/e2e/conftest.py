"""Fixtures of the whole program: a workplace as each kind of caller."""

from pathlib import Path

import pytest

from tests.support.users import Account
from tests.support.workplace import Workplace

CALLERS = ("root", "subids", "single", "copied")


@pytest.fixture
def workplace(public_path: Path, tester: Account) -> Workplace:
    """A workplace of an account with subordinate ids."""
    return _workplace(public_path / "tester", tester)


@pytest.fixture
def lone_workplace(public_path: Path, lone: Account) -> Workplace:
    """A workplace of an account with one uid."""
    return _workplace(public_path / "lone", lone)


@pytest.fixture
def root_workplace(public_path: Path) -> Workplace:
    """A workplace of root."""
    return _workplace(public_path / "root", None)


@pytest.fixture(params=CALLERS)
def any_workplace(
    request: pytest.FixtureRequest, public_path: Path, tester: Account, lone: Account
) -> Workplace:
    """A workplace of each kind of caller in turn; the last one's roots are copies."""
    return workplace_of(request.param, public_path / request.param, tester=tester, lone=lone)


def workplace_of(caller: str, path: Path, *, tester: Account, lone: Account) -> Workplace:
    """Make a workplace of one of ``CALLERS`` at ``path``."""
    account = {"root": None, "subids": tester, "single": lone, "copied": lone}[caller]
    options = ("--rootfs", "copy") if caller == "copied" else ()
    return _workplace(path, account, options)


def _workplace(path: Path, account: Account | None, options: tuple[str, ...] = ()) -> Workplace:
    path.mkdir()
    place = Workplace(path=path, account=account, options=options)
    place.own(path)
    return place
