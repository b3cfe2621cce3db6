"""What the plugin of pytest keeps and shows of machines that failed a test."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.pytest_program import run_pytest
from tests.support.workplace import Workplace, content_of

pytestmark = pytest.mark.userns


def test_state_of_a_failed_test_is_kept(workplace: Workplace) -> None:
    source = """
def test_good(rootrun_machine):
    rootrun_machine("base.tar", name="good").succeed("true")

def test_bad(rootrun_machine):
    rootrun_machine("base.tar", name="bad").succeed("echo found > /root/note; false")
"""
    done = run_pytest(workplace, source, "--rootrun-keep", env={"TMPDIR": str(workplace.path)})
    assert done.returncode == 1, done.stdout
    [kept] = re.findall(r"kept: rootrun shell --from (\S+)", done.stdout)
    assert content_of(Path(kept), "root/note") == b"found\n"
    assert [path.name for path in Path(kept).parent.iterdir()] == ["test_it.py-test_bad-bad.tar"]
    shutil.rmtree(Path(kept).parent)


def test_machine_that_is_closed_is_not_kept(lone_workplace: Workplace) -> None:
    source = """
from rootrun.testing import Machine
def test_bad():
    with Machine("base.tar") as machine:
        machine.succeed("false")
"""
    env = {"TMPDIR": str(lone_workplace.path)}
    done = run_pytest(lone_workplace, source, "--rootrun-keep", env=env)
    assert done.returncode == 1, done.stdout
    assert "not kept: it was closed before the test had failed" in done.stdout
    assert list(lone_workplace.path.glob("rootrun-kept-*")) == []
    assert "messages of rootrun:\n  info: " in done.stdout


def test_services_and_processes_of_a_failed_test_are_shown(lone_workplace: Workplace) -> None:
    source = """
def test_bad(rootrun_machine):
    machine = rootrun_machine("base.tar")
    machine.start("echo listening; exit 3", name="server").wait(timeout=20)
    machine.execute("sh -c 'sleep 600; true' 'a b' >/dev/null 2>&1 &", user="app")
    assert machine.read_text("/etc/passwd") == "x"
"""
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 1, done.stdout
    section = done.stdout.partition("- rootrun machine machine -")[2]
    assert "service server: ended with status 3, its log:\n  listening\n" in section
    assert re.search(r"processes:\n +\d+ uid 1000 \w+  sh -c 'sleep 600; true' 'a b'\n", section)


def test_machines_are_on_networks(lone_workplace: Workplace) -> None:
    source = """
def test_lan(rootrun_machine, rootrun_network):
    lan = rootrun_network("lan", subnet="10.70.0.0/24")
    server = rootrun_machine("base.tar", name="server", networks=[lan])
    client = rootrun_machine("base.tar", networks=[lan.at("10.70.0.9"), rootrun_network()])
    assert lan.address_of(client) == "10.70.0.9"
    client.succeed("ping -c 1 -w 20 server", timeout=30)
"""
    done = run_pytest(lone_workplace, source)
    assert done.returncode == 0, done.stdout
