"""Networks of machines on kernels that have netem, as those of distributions do."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyroute2
import pytest

from vmtests.guest_runs import BASE, guest
from vmtests.images import Kernel, kernel
from vmtests.luggage import PLACE
from vmtests.machine import Machine
from vmtests.place import skipping

pytestmark = pytest.mark.vm

_PROGRAM = f"""
import json, os, sys, time
sys.path.insert(0, "{PLACE}/lib")
os.environ["XDG_CACHE_HOME"] = os.getcwd() + "/cache"
from rootrun.testing import Machine, Network

def milliseconds():
    return float(a.succeed("ping -c 3 -W 10 b").split("min/avg/max = ")[1].split("/")[0])

def transfer_s():
    b.execute("rm -f /tmp/out; (sleep 99 | busybox nc -l -p 7 >/tmp/out) >/dev/null 2>&1 &")
    b.wait_for_open_port(7, address=lan.address_of(b), timeout=20)
    start_s = time.monotonic()
    a.execute("(dd if=/dev/zero bs=1024 count=128 | busybox nc -w 9 b 7) >/dev/null 2>&1 &")
    b.wait_until_succeeds("test $(stat -c %s /tmp/out) = 131072", timeout=60)
    return time.monotonic() - start_s

found = {{}}
with Network("lan") as lan, Machine("{BASE}", name="a", networks=[lan]) as a, \\
     Machine("{BASE}", name="b", networks=[lan]) as b:
    found["usual"] = milliseconds()
    lan.shape(b, delay=0.1)
    found["delayed"] = milliseconds()
    lan.shape(b, loss=0.3)
    answers = a.execute("ping -c 100 -i 0.01 -W 1 b").stdout
    found["received"] = int(answers.split(" packets received")[0].split()[-1])
    lan.shape(b, bandwidth=1_000_000)
    found["transfer"] = transfer_s()
    lan.shape(b, delay=0.1, bandwidth=1_000_000)
    found["both"] = [milliseconds(), transfer_s()]
    lan.shape(b)
    found["reset"] = milliseconds()
    found["messages"] = lan.messages()
print(json.dumps(found))
"""


@pytest.fixture(scope="module", params=["5.10", "6.1"])
def machine(
    request: pytest.FixtureRequest, basic_rootfs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    """A machine with the library for networks, which its root file system lacks."""
    with skipping():
        used: Kernel = kernel(request.param)
    library = Path(pyroute2.__file__).parent
    files: dict[str, Path | str] = {
        f"lib/pyroute2/{path.relative_to(library)}": path for path in library.rglob("*.py")
    }
    tmp = tmp_path_factory.mktemp("networks")
    with guest(used, basic_rootfs, tmp, files=files) as booted:
        yield booted


@pytest.mark.parametrize("user", ["tester", "lone"])
def test_links_are_shaped_by_the_kernel(user: str, machine: Machine) -> None:
    machine.put_text("/tmp/program.py", _PROGRAM)
    command = f"cd /scratch/{user} && python3 /tmp/program.py"
    found = json.loads(machine.succeed(command, user=user, timeout_s=600))
    assert found["usual"] < 100
    assert found["delayed"] >= 200
    assert 25 < found["received"] < 75
    assert found["transfer"] > 0.9
    assert found["both"][0] >= 200
    assert found["both"][1] > 0.9
    assert found["reset"] < 100
    assert "a process does it" not in found["messages"]
