"""Fixtures of the whole program: a workplace as each kind of caller."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.images import docker_archive
from tests.support.nix_functions import Functions
from tests.support.public import make_public_directory
from tests.support.registry import Registry, running_registry
from tests.support.users import Account
from tests.support.workplace import Workplace, busybox_layer

CALLERS = ("root", "subids", "single", "copied")


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    """A registry for the tests of this module."""
    directory = make_public_directory("registry")
    try:
        with running_registry(directory) as running:
            yield running
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="module")
def pushed(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The pinned reference of a busybox in the registry."""
    base = tmp_path_factory.mktemp("pushed") / "base.tar"
    docker_archive(base, [busybox_layer()], config={"Env": ["FROM=registry"]})
    return registry.push(f"docker-archive:{base}", "some/base:1")


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


@pytest.fixture
def functions(lone_workplace: Workplace) -> Functions:
    """The functions of ``rootrun/nix``, and a base, for who has one id."""
    lone_workplace.base()
    return Functions(place=lone_workplace)


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
