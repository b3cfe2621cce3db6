"""Fixtures for all tests: unprivileged accounts and places that they can reach."""

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from rootrun import log
from tests.support.program import remove_installation
from tests.support.public import make_public_directory, remove_directory
from tests.support.require import MUST_WORK, require
from tests.support.users import Account, sweep_dead_sessions, temporary_account


def pytest_configure() -> None:
    """Ignore no signal: what nohup(1), or a shell in the background, ignores, programs inherit."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def _accounts_can_be_made() -> None:
    require(os.geteuid() == 0, "making accounts needs root")


@pytest.fixture(scope="session")
def tester(_accounts_can_be_made: None) -> Iterator[Account]:
    """An account with 65536 subordinate uids and gids."""
    with temporary_account("tester", subids=True) as account:
        yield account


@pytest.fixture(scope="session")
def lone(_accounts_can_be_made: None) -> Iterator[Account]:
    """An account with no subordinate ids."""
    with temporary_account("lone", subids=False) as account:
        yield account


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A fresh directory that every account can read: ``tmp_path`` is the caller's alone."""
    path = make_public_directory("public")
    try:
        yield path
    finally:
        remove_directory(path)


@pytest.fixture
def deep_path(tmp_path: Path) -> Iterator[Path]:
    """A fresh directory in which ``tree`` may become deeper than pytest could remove."""
    yield tmp_path
    remove_directory(tmp_path / "tree")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked ``root`` for everybody else."""
    if item.get_closest_marker("root"):
        require(os.geteuid() == 0, "it needs root")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn every skip into a failure where all must work: marks and importorskip as well."""
    report = yield
    if MUST_WORK and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"ROOTRUN_MUST_WORK=1, but: {reason}"
    return report


def pytest_sessionstart() -> None:
    """Remove what killed sessions left, and let accounts read what this one makes."""
    sweep_dead_sessions()
    os.umask(0o022)


def pytest_sessionfinish() -> None:
    """Remove what the session installed for its accounts."""
    remove_installation()


@pytest.fixture
def told() -> Iterator[list[str]]:
    """The warnings of this process, until something else listens."""
    texts: list[str] = []
    log.listen(lambda _level, text: texts.append(text), least=log.Level.WARNING)
    yield texts
    log.listen(lambda _level, _text: None, least=log.Level.NOTHING)
