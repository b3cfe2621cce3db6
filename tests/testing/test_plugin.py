"""The plugin of pytest, in runs of pytest as its users have them."""

import pytest

from tests.support.pytest_program import run_pytest
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_WAIT = "echo waited; test -e /etc/note"


def test_fixture_starts_machines_and_closes_them(workplace: Workplace) -> None:
    source = """
def test_two(rootrun_machine):
    global machines
    machines = rootrun_machine("base.tar"), rootrun_machine("base.tar", name="web")
    machines += (rootrun_machine("base.tar"),)
    names = [machine.succeed("hostname") for machine in machines]
    assert names == ["machine\\n", "web\\n", "machine-2\\n"]

def test_they_are_gone():
    assert not any(machine.is_up() for machine in machines)
"""
    done = run_pytest(workplace, source)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_failure_tells_what_the_machines_did(lone_workplace: Workplace) -> None:
    source = """
def test_it(rootrun_machine, rootrun_network):
    web = rootrun_machine("base.tar", name="web", networks=[rootrun_network()])
    web.copy_to("test_it.py", "/etc/note")
    web.write_text("/etc/note", "x")
    web.reboot()
    assert web.open_ports() == []
    web.wait_until_succeeds("echo waited; test -e /etc/note")
    assert web.execute("echo out; echo err >&2; exit 3").status == 0
"""
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 1, done.stdout
    section = done.stdout.partition("- rootrun machine web -")[2]
    lines = [line[12:].partition(" (")[0] for line in section.splitlines()[1:]]
    start, copied, *lines = lines
    assert (start, copied[:6]) == ("start", "copy /")
    assert lines[:4] == ["write /etc/note", "shut down machine web", "start", _WAIT + ": status 0"]
    assert lines[4:8] == ["| waited", "echo out; echo err >&2; exit 3: status 3", "| out", "| err"]
    assert "messages of rootrun:\n  info: " in section


def test_success_tells_nothing(lone_workplace: Workplace) -> None:
    source = """
import pytest
def test_good(rootrun_machine):
    rootrun_machine("base.tar").succeed("true")

@pytest.mark.xfail
def test_expected(rootrun_machine):
    rootrun_machine("base.tar").succeed("false")
"""
    done = run_pytest(lone_workplace, source, "-rA")
    assert done.returncode == 0, done.stdout
    assert "rootrun machine" not in done.stdout


def test_failure_before_and_after_a_test_is_told_as_well(lone_workplace: Workplace) -> None:
    source = """
import pytest
@pytest.fixture
def early(rootrun_machine):
    rootrun_machine("base.tar", name="early").succeed("exit 4")

@pytest.fixture
def late(rootrun_machine):
    machine = rootrun_machine("base.tar", name="late")
    yield
    machine.succeed("exit 5")

def test_early(early): pass
def test_late(late): pass
"""
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 1, done.stdout
    first, _, second = done.stdout.partition("- rootrun machine early -")[2].partition(
        "- rootrun machine late -"
    )
    assert "exit 4: status 4" in first
    assert "exit 5: status 5" in second


def test_machine_of_a_longer_life_tells_of_the_failed_test_alone(lone_workplace: Workplace) -> None:
    source = """
import pytest
from rootrun.testing import Machine
@pytest.fixture(scope="module")
def machine():
    with Machine("base.tar") as machine:
        yield machine

def test_first(machine): machine.succeed("echo first")
def test_second(machine): machine.succeed("echo second; false")
"""
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 1, done.stdout
    section = done.stdout.partition("- rootrun machine machine -")[2]
    assert "echo second" in section
    assert "echo first" not in section


def test_plugin_loads_nothing_before_it_is_needed(lone_workplace: Workplace) -> None:
    source = """
import sys
def test_modules(request):
    assert request.config.pluginmanager.has_plugin("rootrun")
    loaded = {name for name in sys.modules if name.partition(".")[0] == "rootrun"}
    own = {"annotation", "loading", "pytest_plugin"}
    assert loaded == {"rootrun", *(f"rootrun.{name}" for name in own)}
    assert not {"psutil", "pyroute2"} & sys.modules.keys()
    from rootrun.testing import machine
    assert type(machine.__spec__.loader).__module__ == "rootrun.loading"
    assert False
"""
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 1, done.stdout
    assert "assert False\nE" in done.stdout
    assert "rootrun machine" not in done.stdout


@pytest.mark.parametrize(
    ("args", "ini"),
    [
        (["--rootrun-idmap=single", "--rootrun-cache-dir=there"], ""),
        ([], "rootrun_idmap = single\nrootrun_cache_dir = there\n"),
    ],
    ids=["command line", "configuration"],
)
def test_options_are_those_of_the_machines(
    args: list[str], ini: str, lone_workplace: Workplace
) -> None:
    source = """
import glob
def test_it(rootrun_machine, rootrun_image):
    image = rootrun_image("base.tar", "echo made > /note")
    machine = rootrun_machine(image)
    assert machine.read_text("/note") == "made\\n"
    assert "id map: single: as requested" in machine.messages()
    assert glob.glob("there/steps-*")
"""
    done = run_pytest(lone_workplace, source, *args, ini=ini)
    assert done.returncode == 0, done.stdout
