"""What a test can see of its machines: processes, use, open ports."""

import pytest

from rootrun.testing.ports import OpenPort, listening
from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


def test_processes_are_told_as_the_machine_sees_them(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.execute("su app -c 'exec sleep 600' >/dev/null 2>&1 &")
    machine.wait_until_succeeds("ps | grep '[s]leep 600'")
    machine.execute("sh -c 'sleep 601 & kill -STOP $$; wait' >/dev/null 2>&1 &")
    machine.wait_until_succeeds("ps | grep '[s]leep 601'")
    time.sleep(0.1)
    pid = int(machine.succeed("ps | grep '[s]leep 600'").split()[0])
    sleep, shell, below = machine.processes()
    tell([sleep.pid - pid, sleep.parent, sleep.command, sleep.name, sleep.uid, sleep.state])
    tell(Path(f"/proc/{sleep.host_pid}/cmdline").read_text())
    tell([shell.state, shell.uid, below.parent - shell.pid, below.thread_count])
    tell(0 <= time.time() - sleep.started_s < 60)
    tell(0 < sleep.share_bytes <= sleep.resident_bytes < 10 << 20)
    tell([sleep.cpu_s < 1, sleep.open_count])
"""
    assert run_harness(workplace, source) == [
        [0, 1, ["sleep", "600"], "sleep", 1000, "sleeping"],
        "sleep\x00600\x00",
        ["stopped", 0, 0, 1],
        True,
        True,
        [True, 3],
    ]


def test_processes_may_end_while_they_are_looked_at(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.execute("while :; do true; (true) & done >/dev/null 2>&1 &")
    seen = [process for _ in range(40) for process in machine.processes()]
    tell({process.uid for process in seen} == {0})
    tell(all(process.pid > 1 and process.parent >= 1 for process in seen))
    tell(machine.usage().started_count > 40)
"""
    assert run_harness(workplace, source) == [True, True, True]


def test_use_is_told_of_processes_that_have_ended(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    before = machine.usage()
    machine.succeed("dd if=/dev/zero of=/dev/null bs=64M count=2")
    machine.execute("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")
    machine.succeed("dd if=/dev/zero of=/new bs=1M count=3")
    machine.execute("sleep 600 >/dev/null 2>&1 &")
    after = machine.usage()
    tell([before.process_count, after.process_count, after.disk_bytes - before.disk_bytes])
    tell(before.peak_memory_bytes < 32 << 20 and 64 << 20 < after.peak_memory_bytes < 99 << 20)
    tell(after.memory_bytes < 10 << 20)
    tell(after.user_s - before.user_s > 0.05 and after.system_s > before.system_s)
    tell(after.started_count - before.started_count)
    tell([after.received_bytes, after.sent_bytes])
    machine.reboot()
    again = machine.usage()
    tell([again.process_count, again.disk_bytes, again.user_s < after.user_s])
"""
    assert run_harness(workplace, source) == [
        *([0, 1, 3 << 20], True, True, True, 5, [0, 0]),
        [0, 3 << 20, True],
    ]


def test_open_ports_are_told_with_who_listens(workplace: Workplace) -> None:
    source = """
with Machine("base.tar") as machine:
    machine.execute("busybox nc -l -p 80 >/dev/null 2>&1 &")
    machine.execute("busybox nc -l -p 81 >/dev/null 2>&1 &")
    machine.wait_for_open_port(80, timeout=20)
    machine.wait_for_open_port(81, timeout=20)
    pids = {process.pid for process in machine.processes()}
    for port in sorted(machine.open_ports()):
        tell([port.protocol, port.port, port.process, port.pid in pids])
"""
    assert run_harness(workplace, source) == [
        ["tcp", 80, "busybox", True],
        ["tcp", 81, "busybox", True],
    ]


def test_sockets_that_take_datagrams_are_open_ports() -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt  \n"
    row = "  1: 0100007F:0035 00000000:0000 07 0:0 00:00000000 00000000 0 0 77 2 0 0\n"
    connected = row.replace(" 07 ", " 01 ")
    assert [*listening("udp", head + row + connected)] == [(OpenPort("udp", "127.0.0.1", 53), 77)]


def test_nothing_is_told_of_a_machine_that_is_down(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar", name="web") as machine:
    machine.shutdown()
    for look in (machine.processes, machine.usage, machine.open_ports):
        try:
            look()
        except MachineError as error:
            tell(str(error))
"""
    assert run_harness(lone_workplace, source) == ["machine web: is down"] * 3
