"""Traced steps come to every end that others come to, and run what others run."""

import signal
import sys
from pathlib import Path

import pytest

from tests.sandbox.conftest import Caller, Make, Run
from tests.sandbox.containers import finish, start
from tests.sandbox.inside import run_inside
from tests.sandbox.processes import watched
from tests.sandbox.programs import compile_tracee

pytestmark = pytest.mark.userns

_TELL = "readlink /proc/self/ns/pid\n"  # once all is set up, for watched()
_STUBBORN = f"trap '' TERM; sleep 1000 & setsid sleep 1000 & kill -STOP $!\n{_TELL}wait"


def test_kill_of_main_leaves_no_tracee(wanted: Make, caller: Caller) -> None:
    request = wanted(_STUBBORN, account=caller.account, emulator="trap agree")
    with start(request, account=caller.account) as process, watched(process) as watch:
        process.kill()
        assert watch.all_end()


@pytest.mark.parametrize("victim", ["monitor", "init"])
def test_kill_of_a_process_between_leaves_no_tracee(
    victim: str, wanted: Make, caller: Caller
) -> None:
    request = wanted(_STUBBORN, account=caller.account, emulator="trap agree")
    with start(request, account=caller.account) as process, watched(process) as watch:
        signal.pidfd_send_signal(watch.pidfds[victim], signal.SIGKILL)
        ran = finish(process)
        assert ran.error.startswith(f"SandboxError: run container: its {victim} process: ")
        assert watch.all_end()
        assert (ran.answer["children"], ran.answer["leaked"]) == (False, 0)


def test_traced_script_cleans_up_after_a_signal(wanted: Make, caller: Caller) -> None:
    script = "trap 'chmod 4755 /bin; echo bye; exit' TERM; echo set; sleep 1000 & wait"
    request = wanted(script, account=caller.account, emulator="trap agree")
    process = start(request, account=caller.account)
    assert process.stderr is not None
    assert process.stderr.readline() == b"set\n"
    process.send_signal(signal.SIGTERM)
    ran = finish(process)
    assert ran.error == "Interrupted: 15"
    assert ran.output.endswith("trapped chmod /bin 4755\nbye\n")


@pytest.mark.root
def test_setuid_program_gains_its_rights_when_traced(run: Run, busybox_root: Path) -> None:
    program = compile_tracee(busybox_root / "mnt" / "directory")
    program.chmod(0o4755)
    told = "busybox su -s /bin/sh daemon -c '/mnt/directory/tracee ids'"
    assert run(told, emulator="trap agree").output == "1 0\n"


def test_usage_of_traced_processes_is_told(run_as_caller: Run) -> None:
    burn = "n=0; while [ $n -lt 60000 ]; do n=$((n + 1)); done"
    ran = run_as_caller(f"({burn}) & ({burn}); wait", emulator="trap agree")
    used_s = ran.answer["cpu_s"]
    assert isinstance(used_s, float)
    assert used_s > 0.02


def _supervise() -> None:
    from rootrun.sandbox.emulation import Supervision
    from rootrun.sandbox.packets import open_packets

    class Emulator:
        traps = False

    Supervision(Emulator(), open_packets()[0])  # type: ignore[arg-type]  # it never serves
    sys.stdout.write(f"{[name for name in sys.modules if 'trac' in name and 'rootrun' in name]}")


def test_nothing_of_it_is_loaded_where_no_filter_traps() -> None:
    assert run_inside(_supervise) == "[]"
