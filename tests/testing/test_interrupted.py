"""A test program that is interrupted while a command runs in its machine."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns


@pytest.mark.parametrize("after_s", [0.3, 0.004], ids=["later", "at once"])
def test_interrupted_command_is_killed_with_all_it_started(
    after_s: float, workplace: Workplace
) -> None:
    source = f"""
with Machine("base.tar") as machine:
    try:
        threading.Timer({after_s}, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        machine.execute("sleep 600 | sleep 601; sleep 602")
    except KeyboardInterrupt:
        tell("interrupted")
    machine.wait_until_fails("ps | grep '[s]leep'", timeout=20)
    tell(machine.succeed("echo alive"))
"""
    assert run_harness(workplace, source) == ["interrupted", "alive\n"]


def test_command_that_starts_others_while_it_is_killed_leaves_none(
    workplace: Workplace,
) -> None:
    source = """
digits = "0 1 2 3 4 5 6 7 8 9"
command = f"for a in {digits}; do for b in {digits}; do sleep 600 & done; done; wait"
with Machine("base.tar") as machine:
    for number in range(20):
        try:
            machine.execute(command, timeout=0.005 + number / 1000)
        except MachineTimeoutError:
            pass
    machine.wait_until_fails("ps | grep '[s]leep'", timeout=20)
"""
    assert run_harness(workplace, source) == []


def test_exception_of_a_signal_handler_kills_the_command(lone_workplace: Workplace) -> None:
    source = """
def ring(*_): raise RuntimeError("too late")
signal.signal(signal.SIGALRM, ring)
with Machine("base.tar") as machine:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        machine.wait_until_succeeds("sleep 600")
    except RuntimeError as error:
        tell(str(error))
    machine.wait_until_fails("ps | grep '[s]leep'", timeout=20)
"""
    assert run_harness(lone_workplace, source) == ["too late"]
