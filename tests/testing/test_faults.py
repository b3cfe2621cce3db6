"""What is killed, stopped or hostile: one clear error, and nothing is left."""

import time

import pytest

from tests.support.harness import PRELUDE, run_harness
from tests.support.users import processes_of
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_GONE_WITHIN_S = 20.0
_PRELUDE = """
from rootrun.errors import RootrunError
import subprocess
def told(function, *args, **options):
    try:
        tell(function(*args, **options))
    except RootrunError as error:
        tell(f"{type(error).__name__}: {error}")
def below(pid):
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in found for one in (int(child), *below(int(child)))]
def machine_processes():
    [hub] = below(os.getpid())[:1]
    return hub, *below(hub)
"""
_ALONE = pytest.mark.parametrize("workplace", ["subids", "single"], indirect=True)


def assert_nothing_left(workplace: Workplace) -> None:
    """Fail if a process of the account, or a scratch tree, is there for long."""
    assert workplace.account is not None
    scratch = workplace.path / "scratch"
    end_s = time.monotonic() + _GONE_WITHIN_S
    while True:
        left = [*map(str, processes_of(workplace.account)), *map(str, scratch.iterdir())]
        if not left:
            return
        assert time.monotonic() < end_s, left
        time.sleep(0.02)


@_ALONE
@pytest.mark.parametrize(
    "meanwhile",
    [
        "",
        "threading.Thread(target=machines[0].execute, args=('sleep 600',)).start(); time.sleep(.2)",
        "if os.fork() == 0: os.setsid(); time.sleep(2); os._exit(0)",
    ],
    ids=["idle", "thread", "fork"],
)
def test_test_that_is_killed_leaves_nothing(workplace: Workplace, meanwhile: str) -> None:
    workplace.own(workplace.path).joinpath("scratch").mkdir(mode=0o777)
    workplace.own(workplace.path / "scratch")
    workplace.base()
    source = f"""
options = MachineOptions(tmpdir="scratch")
machines = [Machine("base.tar", name=f"m{{n}}", options=options) for n in range(3)]
for machine in machines:
    machine.start()
    machine.execute("trap '' TERM; mkdir /x; chmod 0 /x; setsid sleep 600 >/dev/null 2>&1 &")
{meanwhile}
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = workplace.python(PRELUDE + source)
    assert done.returncode == -9, done.stderr.decode()
    assert_nothing_left(workplace)


def test_killed_hub_is_told_and_replaced(workplace: Workplace) -> None:
    source = """
os.mkdir("scratch")
options = MachineOptions(tmpdir="scratch")
machine = Machine("base.tar", name="web", options=options)
machine.start()
hub, *others = machine_processes()
thread = threading.Thread(target=told, args=(machine.execute, "sleep 600"))
thread.start()
time.sleep(0.2)
os.kill(hub, signal.SIGKILL)
thread.join()
told(machine.execute, "true")
while any(Path(f"/proc/{pid}").exists() for pid in others):
    time.sleep(0.01)
told(machine.start)
machine.start()
told(machine.succeed, "echo anew")
tell(len(os.listdir("scratch")))
"""
    gone = "the process that kept it is gone"
    assert run_harness(workplace, _PRELUDE + source) == [
        f"MachineGoneError: web: sleep 600: the machine has ended: {gone}",
        f"MachineGoneError: web: true: the machine has ended: {gone}",
        f"MachineGoneError: start machine web: the process that was asked has ended: {gone}",
        "anew\n",
        2,
    ]
    assert list((workplace.path / "scratch").iterdir()) == []


def test_killed_keeper_or_init_ends_its_machine_alone(workplace: Workplace) -> None:
    source = """
with Machine("base.tar", name="other") as other, Machine("base.tar", name="web") as machine:
    hub, *_ = machine_processes()
    keepers = [int(pid) for pid in Path(f"/proc/{hub}/task/{hub}/children").read_text().split()]
    _, init = below(keepers[1])[:2]
    os.kill(init, signal.SIGKILL)
    told(machine.execute, "true")
    machine.start()
    told(machine.succeed, "echo up")
    os.kill(keepers[1], signal.SIGKILL)
    told(machine.execute, "true")
    told(other.succeed, "echo fine")
"""
    first, *others = run_harness(workplace, _PRELUDE + source)
    assert "run container: its init process: was killed by signal 9" in str(first)
    gone = "the machine has ended: the process that kept it is gone"
    assert others == ["up\n", f"MachineGoneError: web: true: {gone}", "fine\n"]


def test_stopped_hub_does_not_hold_up_who_waits_for_it(lone_workplace: Workplace) -> None:
    source = """
with Machine("base.tar", name="web") as machine:
    hub, *_ = machine_processes()
    os.kill(hub, signal.SIGSTOP)
    other, started_s = Machine("base.tar", name="other"), time.monotonic()
    told(other.start, timeout=0.3)
    tell(time.monotonic() - started_s < 3)
    told(machine.succeed, "echo goes on")
    os.kill(hub, signal.SIGCONT)
    other.start()
    told(other.succeed, "echo there")
"""
    late = "MachineTimeoutError: start machine other: no answer in time"
    told = run_harness(lone_workplace, _PRELUDE + source)
    assert told == [late, True, "goes on\n", "there\n"]


@pytest.mark.parametrize(
    ("action", "last"),
    [
        ("os.replace('other.tar', 'base.tar')", "yes\n"),
        ("os.remove('base.tar')", "UsageError: machine: 'base.tar': No such file or directory"),
    ],
    ids=["replaced", "removed"],
)
def test_image_may_change_between_machines(
    action: str, last: str, lone_workplace: Workplace
) -> None:
    lone_workplace.base("other.tar", config={"Env": ["NEW=yes"]})
    source = f"""
with Machine("base.tar", name="web") as machine:
    {action}
    told(machine.succeed, "echo $NEW up")
    machine.reboot()
    told(machine.succeed, "echo $NEW again")
def second():
    with Machine("base.tar", name="second") as machine:
        return machine.succeed("echo $NEW")
told(second)
"""
    assert run_harness(lone_workplace, _PRELUDE + source) == ["up\n", "again\n", last]


@pytest.mark.parametrize("change", ["shutil.rmtree('cache')", "os.chmod('cache', 0)"])
def test_cache_may_go_between_machines(change: str, lone_workplace: Workplace) -> None:
    source = f"""
import shutil
options = MachineOptions(cache_dir="cache")
with Machine("base.tar", name="web", options=options) as machine:
    pass
{change}
def second():
    with Machine("base.tar", name="second", options=options) as machine:
        return machine.succeed("echo up")
told(second)
"""
    assert run_harness(lone_workplace, _PRELUDE + source) == ["up\n"]


def test_test_without_descriptors_gets_an_error_and_may_go_on(lone_workplace: Workplace) -> None:
    source = """
import resource
with Machine("base.tar", name="web") as machine:
    before = len(os.listdir("/proc/self/fd"))
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (before + 20, 4096))
    for room in range(12):
        while True:
            try: taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError: break
        for _ in range(room): os.close(taken.pop())
        try: machine.execute("true")
        except (OSError, RootrunError): pass
    for fd in taken: os.close(fd)
    tell(len(os.listdir("/proc/self/fd")) - before)
    told(machine.succeed, "echo fine")
"""
    assert run_harness(lone_workplace, _PRELUDE + source) == [0, "fine\n"]
