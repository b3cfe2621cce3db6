"""The plugin of pytest, in runs of pytest as its users have them."""

import pytest

from tests.support.pytest_program import run_pytest
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


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
