"""Root of a machine that means harm: the machine ends or goes on, and nobody else is touched."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


@pytest.mark.parametrize(
    ("attack", "outcome"),
    [
        ("readlink /proc/1/fd/3", "denied"),
        ("cat < /proc/1/fd/3", "denied"),
        ("cat /proc/1/mem", "denied"),
        ("cat /proc/1/environ", "denied"),
        ("ls /proc/1/root/", "denied"),
        ("cat < /proc/1/exe >/dev/null", "denied"),
        ("echo 0 > /proc/1/oom_score_adj && echo -1000 > /proc/1/oom_score_adj", "denied"),
        ("kill -9 1; kill -STOP 1; sleep 0.1", "alive"),
        ("sleep 60 & kill -9 -1", "alive"),
        ("dd if=/dev/zero of=/dev/shm/full bs=1M count=300 2>/dev/null; true", "alive"),
        ("mount -t tmpfs none /proc", "alive"),
        ("mount -o bind /tmp /dev", "alive"),
        ("rm -rf /dev/null /bin/ls", "alive"),
    ],
)
def test_attack_is_the_machines_own_trouble(
    attack: str, outcome: str, workplace: Workplace
) -> None:
    source = f"""
options = MachineOptions(memory_bytes=1 << 30)
with Machine("base.tar", name="other") as other, Machine("base.tar", options=options) as machine:
    tell(machine.execute({attack!r}, timeout=60).status)
    tell([machine.succeed("echo up"), machine.usage().process_count, other.succeed("echo fine")])
    machine.reboot()
    tell(machine.succeed("ls / >/dev/null || echo removed; echo again"))
"""
    status, alive, again = run_harness(workplace, source)
    assert alive == ["up\n", 0, "fine\n"]
    assert str(again).endswith("again\n")
    if outcome == "denied":
        assert status != 0


def test_process_that_ignores_the_end_is_killed_after_its_grace(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.execute("trap '' TERM; sleep 600 >/dev/null 2>&1 & while :; do sleep 1; done"
                    " >/dev/null 2>&1 &")
    started_s = time.monotonic()
    machine.shutdown(grace=0.5)
    tell([0.4 < time.monotonic() - started_s < 10, machine.is_up()])
    machine.start()
    tell(machine.usage().process_count)
"""
    assert run_harness(workplace, source) == [[True, False], 0]
