"""Links that are slow, or lose frames."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_TWO = """
from contextlib import ExitStack
with ExitStack() as stack:
    lan = stack.enter_context(Network("lan"))
    a, b = (stack.enter_context(Machine("base.tar", name=name, networks=[lan])) for name in "ab")
    def fastest_ms():
        return float(a.succeed("ping -c 3 -i 0.1 -W 10 b").split("min/avg/max = ")[1].split("/")[0])
    def lost_part(count):
        output = a.execute(f"ping -c {count} -i 0.01 -W 1 b").stdout
        return 1 - int(output.split(" packets received")[0].split()[-1]) / count
"""


def test_delay_is_on_the_way_to_a_machine_and_back(workplace: Workplace) -> None:
    source = f"""{_TWO}
    lan.shape(b, delay=0.1)
    tell(fastest_ms() >= 200)
    b.reboot()
    tell(fastest_ms() >= 200)
    lan.shape(a, delay=0.05)
    tell(fastest_ms() >= 300)
    lan.shape(a)
    lan.shape(b)
    tell(fastest_ms() < 100)
"""
    assert run_harness(workplace, source) == [True] * 4


def test_part_of_the_frames_is_lost(lone_workplace: Workplace) -> None:
    source = f"""{_TWO}
    tell(lost_part(100) < 0.1)
    lan.shape(b, loss=0.3)
    tell(0.25 < lost_part(100) < 0.75)
    lan.shape(b, loss=1)
    tell(lost_part(3))
    lan.shape(b)
    tell(lost_part(100) < 0.1)
"""
    # 0.51 get lost on one of both ways.
    assert run_harness(lone_workplace, source) == [True, True, 1, True]


def test_bandwidth_bounds_what_gets_through(workplace: Workplace) -> None:
    source = f"""{_TWO}
    lan.shape(a, bandwidth=1_000_000)
    b.execute("(sleep 600 | busybox nc -l -p 7 >/tmp/out) >/dev/null 2>&1 &")
    b.wait_for_open_port(7, address=lan.address_of(b), timeout=20)
    start_s = time.monotonic()
    a.execute("(dd if=/dev/zero bs=1024 count=128 | busybox nc -w 5 b 7) >/dev/null 2>&1 &")
    b.wait_until_succeeds("test $(stat -c %s /tmp/out) = 131072", timeout=60)
    tell(time.monotonic() - start_s > 0.9)
"""
    assert run_harness(workplace, source) == [True]


def test_shaped_link_goes_down_and_into_parts_as_any(lone_workplace: Workplace) -> None:
    source = f"""{_TWO}
    lan.shape(b, delay=0.01)
    for change in (b.block, b.unblock, lambda: lan.partition([b]), lan.heal):
        change()
        tell(a.execute("ping -c 1 -W 2 b").status)
"""
    assert run_harness(lone_workplace, source) == [1, 0, 1, 0]


def test_large_transfer_passes_a_delayed_link_whole(lone_workplace: Workplace) -> None:
    source = f"""{_TWO}
    lan.shape(b, delay=0.002)
    a.succeed("dd if=/dev/urandom of=/tmp/in bs=65536 count=128")
    b.execute("(sleep 600 | busybox nc -l -p 7 >/tmp/out) >/dev/null 2>&1 &")
    b.wait_for_open_port(7, address=lan.address_of(b), timeout=20)
    a.execute("busybox nc -w 5 b 7 </tmp/in >/dev/null 2>&1 &")
    b.wait_until_succeeds("test $(stat -c %s /tmp/out) = 8388608", timeout=60)
    tell(a.read_bytes("/tmp/in") == b.read_bytes("/tmp/out"))
"""
    assert run_harness(lone_workplace, source) == [True]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("delay=-1", "delay -1: not between 0 and 60 seconds"),
        ("loss=10", "loss 10: not between 0 and 1"),
        ("bandwidth=1", "bandwidth 1: less than 8000 bit/s"),
    ],
)
def test_shape_that_cannot_be_is_named(
    values: str, message: str, lone_workplace: Workplace
) -> None:
    source = f"""
from rootrun.errors import UsageError
lan = Network("lan")
a = Machine("base.tar", name="a", networks=[lan])
try:
    lan.shape(a, {values})
except UsageError as error:
    tell(str(error))
"""
    assert run_harness(lone_workplace, source) == [f"network lan: shape 'a': {message}"]
