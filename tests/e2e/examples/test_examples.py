"""The examples of machines do what they show, in pytest as their readers run it."""

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.examples.image import MACHINES, SERVICES, services_image
from tests.e2e.programs.images import own_tree
from tests.support.program import _interpreter, run_as
from tests.support.pytest_program import pytest_environment
from tests.support.users import Account

pytestmark = [pytest.mark.userns, pytest.mark.peers, pytest.mark.slow]

_EXAMPLES = sorted(path.name for path in MACHINES.glob("test_*.py"))


@pytest.fixture(scope="session")
def place_of(tester: Account, lone: Account) -> Callable[[Account], Path]:
    """A directory of each account, with the examples and their image."""
    image = services_image(tester)

    @cache
    def make(account: Account) -> Path:
        place = account.new_directory()
        shutil.copytree(image, place / "images")
        shutil.copytree(MACHINES, place / "machines", ignore=shutil.ignore_patterns("__pycache__"))
        own_tree(place, account)
        return place

    return make


@pytest.mark.parametrize("caller", ["subids", "single"])
@pytest.mark.parametrize("example", _EXAMPLES)
def test_example_passes(
    example: str,
    caller: str,
    place_of: Callable[[Account], Path],
    tester: Account,
    lone: Account,
) -> None:
    account = {"subids": tester, "single": lone}[caller]
    place = place_of(account)
    variables = {
        "EXAMPLES_IMAGE": f"oci:{place / 'images'}:{SERVICES}",
        "ROOTRUN_MUST_WORK": "1",
        "PYTEST_DEBUG_TEMPROOT": os.fspath(account.home),  # gone with the account
    }
    argv: list[str | Path] = [_interpreter(), "-P", "-m", "pytest", "-p", "no:cacheprovider"]
    done = run_as(
        [*argv, f"machines/{example}"],
        account=account,
        env=pytest_environment(variables),
        cwd=place,
    )
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0, output
    assert "skipped" not in output.splitlines()[-1]
