"""The plugin of pytest: options, marker and fixtures. What they do is in ``testing.plugin``.

Every pytest loads it where rootrun is installed: it imports only what is there in any case, and
the rest once a test asks for a machine.
"""

import sys
import time
from collections.abc import Generator, Iterator

import pytest

from rootrun.annotation import TYPE_CHECKING
from rootrun.loading import load_with_less_ado

if TYPE_CHECKING:
    from rootrun.testing.plugin import ImageFactory, MachineFactory, NetworkFactory

# Else pytest compiles all of rootrun anew each time, to have the asserts of a plugin tell more.
load_with_less_ado()

_MARKER = "rootrun"
_LINE = f"{_MARKER}: needs machines of rootrun; skips with the reason where there can be none"
_START_S = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, each of which can stand in the configuration too."""
    group = parser.getgroup("rootrun", "machines of rootrun")
    group.addoption(
        "--rootrun-idmap",
        metavar="MAP",
        choices=("auto", "root", "subids", "single"),
        help="ids of the machines of fixtures: auto, root, subids, single",
    )
    group.addoption(
        "--rootrun-cache-dir", metavar="DIR", help="cache of layers and steps [~/.cache/rootrun]"
    )
    group.addoption(
        "--rootrun-keep",
        action="store_true",
        help="keep the state of a failed test's machines as images, and tell where",
    )
    parser.addini("rootrun_idmap", "as --rootrun-idmap", default="auto")
    parser.addini("rootrun_cache_dir", "as --rootrun-cache-dir, below the root directory")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", _LINE)


@pytest.hookimpl(tryfirst=True)  # no wrapper, which would show in tracebacks of all fixtures
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked where there can be no machines."""
    item.stash[_START_S] = time.monotonic()
    if item.get_closest_marker(_MARKER):
        from rootrun.testing.plugin.settings import settings_of

        settings_of(item.config).require_machines()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failure what the machines did."""
    report = yield
    if report.failed and "rootrun.testing.journal" in sys.modules:
        from rootrun.testing.plugin.failure import add_sections

        add_sections(report, item, since_s=item.stash.get(_START_S, call.start))
    return report


@pytest.fixture
def rootrun_machine(request: pytest.FixtureRequest) -> Iterator["MachineFactory"]:
    """Start machines: ``rootrun_machine("base.tar", name="web")``; the test's end closes them."""
    from rootrun.testing.plugin import MachineFactory
    from rootrun.testing.plugin.settings import settings_of

    with MachineFactory(settings_of(request.config)) as factory:
        yield factory


@pytest.fixture
def rootrun_network() -> Iterator["NetworkFactory"]:
    """Make networks: ``rootrun_network("lan")``; the test's end closes them."""
    from rootrun.testing.plugin import NetworkFactory

    with NetworkFactory() as factory:
        yield factory


@pytest.fixture(scope="session")
def rootrun_image(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["ImageFactory"]:
    """Make images, each once a session: ``rootrun_image("base.tar", "apk add nginx")``."""
    from rootrun.testing.plugin import ImageFactory
    from rootrun.testing.plugin.settings import settings_of

    directory = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):  # of xdist, whose workers share what is above
        directory = directory.parent
    with ImageFactory(settings_of(request.config), directory / "rootrun-images") as factory:
        yield factory
