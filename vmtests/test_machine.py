"""The harness itself: what it says of a guest that dies, and that nothing of it is left."""

import os
import signal
from pathlib import Path

import pytest

from vmtests.images import Kernel
from vmtests.machine import Machine, MachineError

pytestmark = pytest.mark.vm

_STUCK_BOOT_S = 30
_EAT_MEMORY = "eaten = []\nwhile True: eaten.append(b'x' * (1 << 20))"


def test_commands_run_and_files_come_back(machine: Machine) -> None:
    machine.start()
    assert machine.succeed("printf 'a\\nb'; id -un") == "a\nbroot\n"
    answer = machine.execute("echo out; echo err >&2; exit 3", user="tester")
    assert answer == (3, "out\n", "err\n")
    assert machine.fail("false").status == 1
    machine.put_text("/tmp/it's", "$x\n'\"\n")
    assert machine.get("/tmp/it's") == b"$x\n'\"\n"
    size = 3_000_001
    machine.succeed(f"head -c {size} /dev/zero > /tmp/big; (sleep 1; touch /tmp/late) &")
    assert machine.get("/tmp/big") == bytes(size)
    machine.wait_for_file("/tmp/late")
    assert machine.python("import os; print(os.getuid())", user="lone") == "999\n"
    machine.shutdown()


def test_what_fails_is_told_with_status_output_and_console(machine: Machine) -> None:
    machine.start()
    machine.succeed("echo 'last words' > /dev/console")
    with pytest.raises(MachineError, match=r"(?s)status 4.*text.*complaint.*last words"):
        machine.succeed("echo text; echo complaint >&2; exit 4")
    with pytest.raises(MachineError, match=r"killed, the limit is 1 s"):
        machine.succeed("sleep 100", timeout_s=1)
    with pytest.raises(MachineError, match="failed for 1 s"):
        machine.wait_until_succeeds("false", timeout_s=1)


def test_a_panic_is_noticed_at_once_and_leaves_no_qemu(machine: Machine) -> None:
    machine.start()
    with pytest.raises(MachineError, match="Kernel panic"):
        machine.execute("echo c > /proc/sysrq-trigger; sleep 100")
    machine.crash()
    assert _own_qemus() == []


def test_a_guest_that_does_not_boot_is_told_with_its_console_and_ended(
    usual_kernel: Kernel, basic_rootfs: Path
) -> None:
    stuck = 'rdinit=/bin/sh -- -c "echo stuck here; exec /bin/busybox sleep 10000"'
    told = rf"(?s)no answer within {_STUCK_BOOT_S} s.*--- console.*stuck here"
    raised = pytest.raises(MachineError, match=told)
    with Machine(usual_kernel, basic_rootfs, append=stuck) as machine, raised:
        machine.start(timeout_s=_STUCK_BOOT_S)
    assert _own_qemus() == []


def test_a_guest_that_hangs_is_told_with_its_console_and_ended(
    usual_kernel: Kernel, basic_rootfs: Path
) -> None:
    told = r"(?s)no answer within \d+ s.*--- console.*last words"
    with Machine(usual_kernel, basic_rootfs) as machine:
        machine.start()
        machine.succeed("echo 'last words' > /dev/console")
        (pid,) = _own_qemus()
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(MachineError, match=told):
            machine.succeed("true", timeout_s=1)
    assert _own_qemus() == []


def test_a_command_that_eats_all_memory_is_told_with_the_console(machine: Machine) -> None:
    machine.start()
    told = r"(?s)failed\nstatus 137.*--- console.*Out of memory: Killed process \d+ \(python3\)"
    with pytest.raises(MachineError, match=told):
        machine.python(_EAT_MEMORY)
    assert machine.succeed("echo alive") == "alive\n"


def test_a_guest_without_memory_to_go_on_is_noticed_at_once(
    usual_kernel: Kernel, basic_rootfs: Path
) -> None:
    told = r"(?s)the kernel panicked.*--- console.*Out of memory: "
    with Machine(usual_kernel, basic_rootfs) as machine:
        machine.start()
        machine.sysctl("vm.panic_on_oom", 2)
        with pytest.raises(MachineError, match=told):
            machine.python(_EAT_MEMORY)
    assert _own_qemus() == []


def _own_qemus() -> list[int]:
    """Return the processes of QEMU that this one has started."""
    parent = f"\nPPid:\t{os.getpid()}\n"
    status = {path.parent.name: _status(path) for path in Path("/proc").glob("[0-9]*/status")}
    qemus = {pid: text for pid, text in status.items() if text.startswith("Name:\tqemu")}
    return [int(pid) for pid, text in qemus.items() if parent in text]


def _status(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_a_machine_goes_on_from_a_saved_state(machine: Machine, tmp_path: Path) -> None:
    machine.disk("data", size="16M")
    machine.start()
    machine.succeed("echo kept > /tmp/kept")
    machine.save(tmp_path / "state")
    machine.crash()
    machine.restore(tmp_path / "state")
    assert machine.succeed("cat /tmp/kept") == "kept\n"
    assert abs(int(machine.succeed("date +%s")) - (tmp_path / "state").stat().st_mtime) < 600


def test_what_was_synced_outlives_a_power_cut_and_other_things_need_not(machine: Machine) -> None:
    machine.disk("data", size="64M", cache="writeback")
    machine.start()
    machine.mount("data", "/data")
    machine.succeed("echo safe > /data/safe; sync; echo lost > /data/lost")
    machine.reboot_after_crash()
    machine.mount("data", "/data")
    assert machine.succeed("cat /data/safe; ls /data") == "safe\nlost+found\nsafe\n"
