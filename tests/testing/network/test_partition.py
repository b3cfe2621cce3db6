"""Networks in parts that do not reach one another."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_THREE = """
from contextlib import ExitStack
with ExitStack() as stack:
    lan = stack.enter_context(Network("lan"))
    a, b, c = (
        stack.enter_context(Machine("base.tar", name=name, networks=[lan])) for name in "abc"
    )
    def reached(wait_s=1):
        return [
            one.name + two.name for one, two in ((a, b), (a, c), (b, c))
            if one.execute(f"ping -c 1 -W {wait_s} {two.name}").status == 0
        ]
"""


def test_parts_of_a_network_do_not_reach_one_another_until_it_heals(workplace: Workplace) -> None:
    source = f"""{_THREE}
    lan.partition([a, b])
    tell(reached())
    lan.partition([a], ["b"], [c])
    tell(reached())
    lan.heal()
    tell(reached(wait_s=10))  # who asked for an address in vain asks again within a second
"""
    assert run_harness(workplace, source) == [["ab"], [], ["ab", "ac", "bc"]]


def test_part_of_a_machine_stays_when_it_is_started_again(lone_workplace: Workplace) -> None:
    source = f"""{_THREE}
    c.shutdown()
    lan.partition([a], [b, c])
    c.start()
    b.reboot()
    tell(reached())
    tell(a.succeed("ifconfig eth0 | grep -c RUNNING"))
"""
    assert run_harness(lone_workplace, source) == [["bc"], "1\n"]


def test_connection_outlives_a_partition(lone_workplace: Workplace) -> None:
    source = f"""{_THREE}
    b.execute("mkfifo /tmp/in; (busybox nc -l -p 7 < /tmp/in > /tmp/out; echo over >> /tmp/out)"
              " >/dev/null 2>&1 & exec 3>/tmp/in; sleep 600 >/dev/null 2>&1 3>&3 &")
    b.wait_for_open_port(7, address="10.77.0.2", timeout=20)
    a.execute("mkfifo /tmp/in; (busybox nc b 7 < /tmp/in; echo $? > /tmp/ended)"
              " >/dev/null 2>&1 & exec 3>/tmp/in; sleep 600 >/dev/null 2>&1 3>&3 &")
    a.succeed("echo before > /tmp/in")
    b.wait_until_succeeds("grep before /tmp/out", timeout=20)
    lan.partition([a], [b])
    a.succeed("echo meanwhile > /tmp/in")
    tell(b.execute("sleep 0.5; cat /tmp/out").stdout)
    lan.heal()
    b.wait_until_succeeds("grep meanwhile /tmp/out", timeout=60)
    tell([b.read_text("/tmp/out"), a.execute("test -e /tmp/ended").status])
"""
    assert run_harness(lone_workplace, source) == ["before\n", ["before\nmeanwhile\n", 1]]
