"""Fixtures of the runs of real programs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.programs.images import own_tree, program_images
from tests.e2e.programs.pair import LAYOUT, Pair
from tests.support.packages import package_repository
from tests.support.public import is_open, make_public_directory
from tests.support.users import Account
from tests.support.workplace import Workplace


@pytest.fixture(scope="session")
def repository(_accounts_can_be_made: None) -> Iterator[Path]:
    """The repository of packages, where every account can read it."""
    made = package_repository()
    if is_open(made):
        yield made
        return
    public = make_public_directory("packages")
    try:
        yield Path(shutil.copytree(made, public / "packages"))
    finally:
        shutil.rmtree(public)


@pytest.fixture(scope="session")
def pair(tester: Account, lone: Account, repository: Path) -> Pair:
    """An account with subordinate ids and one without, and the same images for both."""
    images = program_images(tester, repository)
    return Pair(many=_place(tester, images), lone=_place(lone, images))


def _place(account: Account, images: Path) -> Workplace:
    place = Workplace(path=account.new_directory(), account=account)
    shutil.copytree(images, place.path / LAYOUT)
    own_tree(place.path / LAYOUT, account)
    return place
