"""A network ends with what it is for, whatever ends that."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import workplace_of
from tests.support.users import Account, processes_of

pytestmark = [pytest.mark.userns, pytest.mark.root]

_WITHIN_S = 30
_OURS = {"rootrun-machine", "rootrun-network", "rootrun-relay"}
_PROGRAM = """
import os, time
from rootrun.testing import Machine, Network
with Network("lan") as lan, Machine("base.tar", name="a", networks=[lan]) as a, \\
     Machine("base.tar", name="b", networks=[lan]) as b:
    lan.shape(b, delay=0.01, bandwidth=10_000_000)
    lan.partition([a], [b])
    open("pid", "w").write(str(os.getpid()))
    while not os.path.exists("go"):
        time.sleep(0.01)
print("over")
time.sleep(600)
"""


def _wait_until(is_true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _WITHIN_S
    while not is_true() and time.monotonic() < end_s:
        time.sleep(0.02)
    assert is_true()


def _names(account: Account) -> set[str]:
    found = set()
    for pid in processes_of(account):
        try:
            found.add(Path(f"/proc/{pid}/comm").read_text().strip())
        except OSError:
            continue  # it has just ended
    return found & _OURS


def _network_namespaces(account: Account) -> set[str]:
    links = [f"/proc/{pid}/ns/net" for pid in processes_of(account)]
    return {os.readlink(link) for link in links if os.path.lexists(link)}


@pytest.mark.parametrize("caller", ["subids", "single"])
@pytest.mark.parametrize("is_killed", [False, True], ids=["closed", "killed"])
def test_network_leaves_no_process(
    caller: str, *, is_killed: bool, public_path: Path, tester: Account, lone: Account
) -> None:
    place = workplace_of(caller, public_path / "work", tester=tester, lone=lone)
    account = place.account
    assert account is not None
    place.base()
    running = ThreadPoolExecutor(1).submit(place.python, _PROGRAM)
    pid_file = place.path / "pid"
    _wait_until(lambda: running.done() or (pid_file.exists() and bool(pid_file.read_text())))
    assert not running.done(), running.result().stderr.decode()
    assert _names(account) == _OURS
    # That of this host, of the network, and of each machine.
    assert len(_network_namespaces(account)) == 4
    if not is_killed:
        place.write("go", "")
        _wait_until(lambda: _names(account) == set())
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    running.result(_WITHIN_S)
    _wait_until(lambda: processes_of(account) == [])
