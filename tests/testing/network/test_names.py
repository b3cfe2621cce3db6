"""The hosts file of machines on networks."""

import pytest

from rootrun.testing.network.hosts import Host, lines_of, with_networks
from tests.support.harness import run_harness
from tests.support.tarball import file, symlink
from tests.support.workplace import Workplace, busybox_layer


def test_lines_of_the_machine_stay_around_those_of_its_networks() -> None:
    first = lines_of([Host("10.0.0.1", ("a", "a.lan"))])
    second = lines_of([Host("10.0.0.2", ("b", "b.lan"))])
    content = with_networks("127.0.0.1 localhost\n", first) + "10.9.9.9 mine"
    assert with_networks(content, second) == content.replace(first, second)


def test_names_come_back_where_the_machine_has_removed_them() -> None:
    content = with_networks("10.9.9.9 mine", "10.0.0.1 a\n")
    assert content.startswith("10.9.9.9 mine\n")
    assert "10.0.0.1 a\n" in content


@pytest.mark.userns
@pytest.mark.parametrize(
    "hosts",
    [file("etc/hosts", b"192.0.2.1 old\n"), symlink("etc/hosts", "static/hosts")],
    ids=["file", "symlink"],
)
def test_hosts_file_of_the_image_is_covered_and_no_change(
    hosts: object, lone_workplace: Workplace
) -> None:
    lone_workplace.base("base.tar", busybox_layer(hosts))  # type: ignore[arg-type] # a member
    source = """
with Network() as lan, Machine("base.tar", name="a", networks=[lan]) as a:
    a.succeed("echo 192.0.2.9 mine >> /etc/hosts")
    content = a.read_text("/etc/hosts")
    tell(["old" in content, "mine" in content, "10.77.0.1 a a.network" in content])
    tell([change.path for change in a.diff()])
"""
    assert run_harness(lone_workplace, source) == [[False, True, True], []]


@pytest.mark.userns
def test_hosts_file_that_is_bound_by_the_user_is_left_alone(lone_workplace: Workplace) -> None:
    lone_workplace.write("mine", "192.0.2.1 mine\n")
    source = """
options = MachineOptions(binds=(Bind(source=Path("mine"), destination="/etc/hosts"),))
with Network() as lan, Machine("base.tar", name="a", networks=[lan], options=options) as a:
    tell(a.read_text("/etc/hosts"))
"""
    assert run_harness(lone_workplace, source) == ["192.0.2.1 mine\n"]
