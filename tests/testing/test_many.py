"""Many machines of one test, at once and in a row: each works, and nothing is left of it."""

import pytest

from tests.support.harness import run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_PRELUDE = """
from concurrent.futures import ThreadPoolExecutor
def below(pid):
    files = Path(f"/proc/{pid}/task").glob("*/children")
    found = [child for file in files for child in file.read_text().split()]
    return [one for child in found for one in (int(child), *below(int(child)))]
def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) << 12
def held(scratch):
    [hub] = below(os.getpid())[:1]
    return [len(below(hub)), len(os.listdir("/proc/self/fd")), len(os.listdir(scratch)),
            len(Path("/proc/self/mounts").read_text().splitlines())]
def is_as_before():
    end_s = time.monotonic() + 30  # what is killed is to be reaped, and what is large removed
    while held("scratch") != before and time.monotonic() < end_s:
        time.sleep(0.01)
    return [after - first for after, first in zip(held("scratch"), before)]
os.mkdir("scratch")
options = MachineOptions(tmpdir="scratch")
with Machine("base.tar", options=options):
    pass
time.sleep(0.5)
before = held("scratch")
"""


@pytest.mark.slow
def test_fifty_machines_at_once(workplace: Workplace) -> None:
    source = """
machines = [Machine("base.tar", name=f"m{n}", options=options) for n in range(50)]
def run(machine):
    machine.start()
    machine.write_text("/own", machine.name)
    return machine.succeed("hostname; cat /own")
with ThreadPoolExecutor(50) as pool:
    tell([*pool.map(run, machines)] == [f"{machine.name}\\n{machine.name}" for machine in machines])
    tell(all(process.is_up() for process in machines))
    tell(held("scratch")[0] // 50)
    list(pool.map(Machine.close, machines))
tell(is_as_before())
"""
    assert run_harness(workplace, _PRELUDE + source) == [True, True, 3, [0, 0, 0, 0]]


@pytest.mark.slow
def test_five_hundred_machines_in_a_row(lone_workplace: Workplace) -> None:
    source = """
def run(count):
    for number in range(count):
        with Machine("base.tar", name=f"m{number}", options=options) as machine:
            machine.succeed("true")
run(50)
[hub] = below(os.getpid())[:1]
first, own = resident(hub), resident(os.getpid())
run(450)
tell(is_as_before())
tell([resident(hub) - first < 1 << 20, resident(os.getpid()) - own < 1 << 20])
tell(len(os.listdir("scratch")))
"""
    assert run_harness(lone_workplace, _PRELUDE + source) == [[0, 0, 0, 0], [True, True], 1]


def test_threads_that_are_first_share_a_hub(lone_workplace: Workplace) -> None:
    source = """
threads = []
def run(number):
    with Machine("base.tar", name=f"m{number}") as machine:
        time.sleep(0.3)
        threads.append(machine.succeed("hostname"))
started = [threading.Thread(target=run, args=(number,)) for number in range(6)]
for thread in started: thread.start()
for thread in started: thread.join()
tell(sorted(threads))
files = Path("/proc/self/task").glob("*/children")
tell(sum(len(file.read_text().split()) for file in files))
"""
    assert run_harness(lone_workplace, source) == [[f"m{number}\n" for number in range(6)], 1]


def test_machine_outlives_the_forks_of_its_test(lone_workplace: Workplace) -> None:
    source = """
import multiprocessing
def child(machine):
    assert machine.succeed("echo also here") == "also here\\n"
    with Machine("base.tar", name="own") as own:
        assert own.succeed("hostname") == "own\\n"
with Machine("base.tar", name="web") as machine:
    process = multiprocessing.get_context("fork").Process(target=child, args=(machine,))
    process.start()
    process.join()
    tell(process.exitcode)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        sys.exit(3)  # leaves the block
    tell(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    tell(machine.succeed("hostname"))
    sys.exit(0)
"""
    assert run_harness(lone_workplace, source) == [0, 3, "web\n"]
