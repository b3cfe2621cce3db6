"""Fixtures of the sandbox's tests: a root to run in, and callers of each kind."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.sandbox.containers import Ran, finish, make_busybox_root, scratch_for, start
from tests.sandbox.drivers.container import Wanted
from tests.support.require import require
from tests.support.users import Account


class Make(Protocol):
    """Makes requests for scripts; the fields of ``Wanted`` by name."""

    def __call__(
        self, *scripts: str, account: Account | None = None, **fields: object
    ) -> Wanted: ...


class Run(Protocol):
    """Runs scripts; the fields of ``Wanted`` by name."""

    def __call__(self, *scripts: str, **fields: object) -> Ran: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One who runs containers."""

    account: Account | None  # None: root
    id_map: str  # what auto gives


@pytest.fixture(params=["root", "tester", "lone"])
def caller(request: pytest.FixtureRequest) -> Caller:
    """Each kind of caller in turn."""
    if request.param == "root":
        request.getfixturevalue("_accounts_can_be_made")
        return Caller(account=None, id_map="root")
    account: Account = request.getfixturevalue(request.param)
    return Caller(account=account, id_map="subids" if account.subids else "single")


@pytest.fixture
def busybox_root(public_path: Path) -> Path:
    """A fresh root with busybox, which the script sees below an overlay."""
    require(Path("/proc/self/ns/user").exists(), "the kernel has no user namespaces")
    return make_busybox_root(public_path / "root")


@pytest.fixture
def wanted(busybox_root: Path, tmp_path: Path) -> Make:
    """Make requests that run in the busybox root."""

    def make(*scripts: str, account: Account | None = None, **fields: object) -> Wanted:
        scratch = str(scratch_for(account, tmp_path))
        values = {"lower": str(busybox_root), "scratch": scratch, "scripts": [*scripts], **fields}
        return Wanted(**values)  # type: ignore[arg-type]  # checked where the driver reads it

    return make


@pytest.fixture
def run(wanted: Make) -> Run:
    """Run scripts as root."""
    return lambda *scripts, **fields: finish(start(wanted(*scripts, **fields)))


@pytest.fixture
def run_as_caller(wanted: Make, caller: Caller) -> Run:
    """Run scripts as each kind of caller in turn."""

    def run(*scripts: str, **fields: object) -> Ran:
        request = wanted(*scripts, account=caller.account, **fields)
        return finish(start(request, account=caller.account))

    return run
