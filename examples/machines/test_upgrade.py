"""A package of Debian goes from one version to the next, with its daemon and its configuration."""

from pathlib import Path

import pytest

from rootrun.testing import Machine
from rootrun.testing.plugin import ImageFactory, MachineFactory

BUILD = Path(__file__).with_name("greeter.sh")
INSTALL = "apt-get install --yes --quiet -o Dpkg::Options::=--force-confold"
UPGRADE = f"{INSTALL} /srv/greeter_2.0_all.deb"
GREETING = "bash -c 'cat < /dev/tcp/127.0.0.1/7000'"


@pytest.fixture(scope="session")
def packages(debian: str, rootrun_image: ImageFactory) -> Path:
    return rootrun_image(debian, BUILD)


@pytest.fixture
def machine(packages: Path, rootrun_machine: MachineFactory) -> Machine:
    machine = rootrun_machine(packages)
    machine.succeed(f"{INSTALL} /srv/greeter_1.0_all.deb")
    return machine


def greeting(machine: Machine) -> str:
    machine.wait_for_open_port(7000, timeout=30)
    return machine.succeed(GREETING)


def test_daemon_of_the_new_version_answers(machine: Machine) -> None:
    assert greeting(machine) == "greeter 1.0: welcome to 1.0\n"
    machine.succeed(UPGRADE)
    assert greeting(machine) == "greeter 2.0: welcome to 2.0\n"
    assert machine.succeed("stat -c %U /proc/$(cat /run/greeter.pid)") == "greeter\n"


def test_upgrade_keeps_what_the_administrator_wrote(machine: Machine) -> None:
    machine.write_text("/etc/greeter.conf", "ahoy\n")
    machine.succeed(UPGRADE)
    assert greeting(machine) == "greeter 2.0: ahoy\n"
    assert machine.read_text("/etc/greeter.conf.dpkg-dist") == "welcome to 2.0\n"


def test_both_ways_from_one_state(machine: Machine) -> None:
    with machine.fork(name="removed") as removed:
        removed.succeed("apt-get remove --yes --quiet greeter")
        assert removed.read_text("/etc/greeter.conf") == "welcome to 1.0\n"
        removed.succeed("apt-get purge --yes --quiet greeter")
        removed.fail("test -e /etc/greeter.conf")
    machine.succeed(UPGRADE)
    assert greeting(machine) == "greeter 2.0: welcome to 2.0\n"
