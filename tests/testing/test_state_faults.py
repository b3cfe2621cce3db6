"""What diff, commit and fork do where something is in their way."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness import PRELUDE, run_harness
from tests.support.workplace import Workplace

pytestmark = pytest.mark.userns

_GONE_WITHIN_S = 30.0


@pytest.fixture
def small(workplace: Workplace) -> Iterator[Path]:
    """A directory of the workplace with room for 16 MiB."""
    directory = workplace.path / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16M", "none", directory], check=True)
    try:
        yield workplace.own(directory)
    finally:
        subprocess.run(["umount", directory], check=True)


def test_full_disk_is_told_and_the_machine_goes_on(workplace: Workplace, small: Path) -> None:
    source = """
def told(function):
    try:
        function()
    except Exception as error:
        tell(type(error).__name__)
with Machine("base.tar", options=MachineOptions(tmpdir="small")) as machine:
    [hub] = [path for path in Path("small").iterdir() if (path / "image-1").exists()]
    machine.succeed("dd if=/dev/zero of=/root/large bs=1M count=10")
    told(lambda: machine.fork("copy"))
    told(lambda: machine.commit("small/out.tar"))
    machine.wait_for_file("/root/large")
    tell([change.path for change in machine.diff()])
    for _ in range(100):
        left = [path.name for path in [*hub.iterdir(), *Path("small").iterdir()]]
        if len(left) == 3: break
        time.sleep(0.1)
    tell([len(left), len(list(Path("small").iterdir()))])
    machine.succeed("rm /root/large; echo x > /root/x")
    with machine.fork("copy") as copy:
        tell(copy.succeed("cat /root/x"))
"""
    assert run_harness(workplace, source) == [
        "MachineError",
        "OutputError",
        ["/root/large"],
        [3, 2],
        "x\n",
    ]


def test_fork_bomb_is_held_and_goes_on(lone_workplace: Workplace) -> None:
    source = """
BOMB = "bomb() { bomb | bomb & sleep 0.05; }; bomb"
with Machine("base.tar", options=MachineOptions(pids=80)) as machine:
    machine.succeed("echo x > /root/x", "touch /tmp/bomb")
    machine.execute(f"(while [ -e /tmp/bomb ]; do ({BOMB}); done) >/dev/null 2>&1 &")
    for number in range(3):
        assert "/root/x" in [change.path for change in machine.diff()]
        machine.commit("out.tar")
        with machine.fork(f"fork{number}") as fork:
            assert fork.succeed("cat /root/x") == "x\\n"
    machine.crash()
    machine.start()
    tell(machine.succeed("cat /root/x"))
"""
    assert run_harness(lone_workplace, source) == ["x\n"]


@pytest.mark.parametrize(
    "task", ["diff()", 'commit("out.tar")', 'fork("x")', 'copy_from("/", "c")']
)
def test_killed_program_leaves_nothing(lone_workplace: Workplace, task: str) -> None:
    source = f"""
os.mkdir("scratch")
with Machine("base.tar", options=MachineOptions(tmpdir="scratch")) as machine:
    machine.succeed("i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i > /root/$i; done",
                    "dd if=/dev/zero of=/root/large bs=1M count=60 2>/dev/null")
    threading.Thread(target=lambda: machine.{task}).start()
    time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    lone_workplace.base()
    done = lone_workplace.python(PRELUDE + source)
    assert done.returncode == -9, done.stderr.decode()
    end_s = time.monotonic() + _GONE_WITHIN_S
    while any((lone_workplace.path / "scratch").iterdir()):
        assert time.monotonic() < end_s, list((lone_workplace.path / "scratch").rglob("*"))[:9]
        time.sleep(0.05)
    assert not [path for path in lone_workplace.path.iterdir() if "out.tar" in path.name]
