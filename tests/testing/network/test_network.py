"""Machines on networks: their addresses, names and links."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


def test_machines_reach_one_another_by_name(workplace: Workplace) -> None:
    source = """
with Network("lan", subnet="10.77.0.0/24") as lan, \\
     Machine("base.tar", name="server", networks=[lan]) as server, \\
     Machine("base.tar", name="client", networks=[lan.at("10.77.0.9")]) as client:
    tell([lan.address_of(server), lan.address_of("client")])
    client.succeed("ping -c 1 -W 5 server", "ping -c 1 -W 5 server.lan", "ping -c 1 -W 5 localhost")
    tell(server.execute("ping -c 1 -W 5 client").stdout.splitlines()[0])
"""
    assert run_harness(workplace, source) == [
        ["10.77.0.1", "10.77.0.9"],
        "PING client (10.77.0.9): 56 data bytes",
    ]


def test_machine_that_joins_or_leaves_is_known_to_others_at_once(lone_workplace: Workplace) -> None:
    source = """
def names(machine):
    lines = machine.read_text("/etc/hosts").splitlines()
    return [line for line in lines if line.startswith("10.")]

with Network("lan") as lan, Machine("base.tar", name="first", networks=[lan]) as first:
    first.succeed("echo 10.1.1.1 mine >> /etc/hosts")
    with Machine("base.tar", name="second", networks=[lan]) as second:
        first.succeed("ping -c 1 -W 5 second")
        tell([names(first), names(second)])
    tell(names(first))
    with Machine("base.tar", name="second", networks=[lan]):
        first.succeed("ping -c 1 -W 5 second")
"""
    first, second = "10.77.0.1 first first.lan", "10.77.0.2 second second.lan"
    assert run_harness(lone_workplace, source) == [
        [[first, second, "10.1.1.1 mine"], [first, second]],
        [first, "10.1.1.1 mine"],
    ]


def test_machine_is_plugged_in_again_with_each_start(workplace: Workplace) -> None:
    source = """
with Network() as lan, Machine("base.tar", name="a", networks=[lan]) as a, \\
     Machine("base.tar", name="b", networks=[lan]) as b:
    macs = [a.succeed("ifconfig eth0 | grep -o HWaddr.*")]
    for start in (a.reboot, lambda: (a.crash(), a.start())):
        start()
        macs.append(a.succeed("ifconfig eth0 | grep -o HWaddr.*"))
        a.succeed("ping -c 1 -W 5 b")
        b.succeed("ping -c 1 -W 5 a")
    tell(len(set(macs)))
"""
    assert run_harness(workplace, source) == [1]


def test_machine_that_has_ended_answers_no_more(workplace: Workplace) -> None:
    source = """
with Network() as lan, Machine("base.tar", name="a", networks=[lan]) as a, \\
     Machine("base.tar", name="b", networks=[lan]) as b:
    for end in (a.crash, a.shutdown) * 5:
        b.succeed("ping -c 1 -W 5 a")
        end()
        b.fail("ping -c 1 -W 0.1 a", timeout=20)
        a.start()
"""
    assert run_harness(workplace, source) == []


def test_blocked_machine_sees_no_carrier_until_it_is_unblocked(workplace: Workplace) -> None:
    source = """
with Network() as lan, Machine("base.tar", name="a", networks=[lan]) as a, \\
     Machine("base.tar", name="b", networks=[lan]) as b:
    # Who has asked in vain where b is asks again a second later, three times in all.
    for change, wait in ((a.block, 1), (a.unblock, 2), (lambda: lan.set_link(b, up=False), 1),
                         (a.reboot, 1), (lambda: lan.set_link("b", up=True), 2)):
        change()
        seen = [one.execute("ifconfig eth0 | grep -c RUNNING").stdout for one in (a, b)]
        tell([*seen, a.execute(f"ping -c 1 -W {wait} b").status])
"""
    up, down = ["1\n", "1\n", 0], ["1\n", "0\n", 1]
    assert run_harness(workplace, source) == [["0\n", "1\n", 1], up, down, down, up]


def test_machine_on_two_networks_has_a_link_to_each(lone_workplace: Workplace) -> None:
    source = """
with Network("lan") as lan, Network("wan", subnet="fd77::/64") as wan, \\
     Machine("base.tar", name="router", networks=[lan, wan.at("fd77::5")]) as router, \\
     Machine("base.tar", name="inner", networks=[lan]) as inner, \\
     Machine("base.tar", name="outer", networks=[wan]) as outer:
    inner.succeed("ping -c 1 -W 5 router")
    outer.succeed("ping -c 1 -W 5 router")
    router.succeed("ping -c 1 -W 5 inner", "ping -c 1 -W 5 outer")
    tell([wan.address_of(router), wan.address_of(outer)])
    tell(inner.execute("ping -c 1 -W 1 outer").status != 0)
"""
    assert run_harness(lone_workplace, source) == [["fd77::5", "fd77::1"], True]


def test_network_that_is_closed_first_takes_its_links_along(workplace: Workplace) -> None:
    source = """
lan = Network("lan")
with Machine("base.tar", name="a", networks=[lan]) as a:
    before = a.execute("ifconfig eth0").status
    lan.close()
    lan.close()
    tell([before, a.execute("ifconfig eth0").status])
    tell("lan" in a.read_text("/etc/hosts"))
    a.shutdown()
    try:
        a.start()
    except MachineError as error:
        tell(str(error))
"""
    assert run_harness(workplace, source) == [
        [0, 1],
        False,
        "network lan: was closed",
    ]


def test_machines_start_in_threads(lone_workplace: Workplace) -> None:
    source = """
from concurrent.futures import ThreadPoolExecutor
with Network() as lan, ThreadPoolExecutor(6) as pool:
    machines = [Machine("base.tar", name=f"m{n}", networks=[lan]) for n in range(6)]
    start_all(machines)
    start_all([])
    command = "; ".join(f"ping -c 1 -W 5 m{n} || exit 1" for n in range(6))
    tell([result.status for result in pool.map(lambda m: m.execute(command), machines)])
    list(pool.map(Machine.close, machines))
    tell([Machine("base.tar", name="m3", networks=[lan]).name, lan.address_of("m3")])
"""
    assert run_harness(lone_workplace, source) == [[0] * 6, ["m3", "10.77.0.1"]]
