"""``python -m benchmarks machines``: machines of the test harness, beside podman and a real one.

Each round has a program with the harness, as an account with subordinate ids and as one without,
then ``podman run --rm`` of the same command, all interleaved; medians are shown. With ``--vm``, a
virtual machine of vmtests boots once as well.
"""

import argparse
import json
import os
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.bases import docker_archive_of, small_base
from benchmarks.timing import in_turns, last_line, timed, unwind_at_signals
from tests.support.program import remove_installation, run_as, run_python
from tests.support.users import Account, temporary_account

_PROGRAM = """
import json, sys, time
from rootrun.testing import Machine, Network, start_all

image, times = sys.argv[1], {}

def measured(name):
    class Taken:
        def __enter__(self): self.began = time.perf_counter()
        def __exit__(self, *_): times.setdefault(name, []).append(time.perf_counter() - self.began)
    return Taken()

def first_command(name):
    with measured(name):
        machine = Machine(image)
        machine.start()
        machine.execute("true")
    return machine

first_command("first machine of a program, to its first command").close()
for _ in range(5):
    machine = first_command("start, to the first command")
    for _ in range(10):
        with measured('execute("true")'):
            machine.execute("true")
    machine.succeed("mkdir /srv; for n in 1 2 3 4 5 6 7 8 9 10; do echo $n > /srv/$n; done")
    with measured("fork(), 10 files changed"):
        fork = machine.fork(name="fork")
    fork.close()
    machine.close()
    with measured("run one command: start, execute, close"):
        with Machine(image) as machine:
            machine.execute("true")
    with measured("three machines on a network, to their first command"):
        network = Network("lan").__enter__()
        three = [Machine(image, name=name, networks=[network]) for name in ("a", "b", "c")]
        start_all(three)
        three[2].succeed("grep a /etc/hosts")
    for machine in three:
        machine.close()
    network.close()
print(json.dumps(times))
"""
_TARGETS_S = {
    "start, to the first command": 0.060,
    'execute("true")': 0.005,
    "fork(), 10 files changed": 0.040,
    "three machines on a network, to their first command": 0.250,
}
_ONE_COMMAND = "run one command: start, execute, close"
# As far as a machine without control groups of its own and with low limits lets it.
_PODMAN = ("--cgroup-manager=cgroupfs", "--runtime=runc")
_PODMAN_RUN = (
    *("run", "--rm", "--network=none", "--ulimit", "nofile=1024:1024"),
    *("--ulimit", "nproc=1024:1024"),
)

Times = Mapping[str, Sequence[float]]


def main(argv: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks machines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each program (default 5)")
    parser.add_argument("--vm", action="store_true", help="boot a virtual machine as well")
    options = parser.parse_args(argv)
    unwind_at_signals()
    os.umask(0o022)
    try:
        with ExitStack() as cleanup:
            accounts = {
                name: cleanup.enter_context(temporary_account(name, subids=name == "subids"))
                for name in ("subids", "single")
            }
            _report(accounts, rounds=options.rounds, boots_vm=options.vm)
    finally:
        remove_installation()


def _report(accounts: Mapping[str, Account], *, rounds: int, boots_vm: bool) -> None:
    image = docker_archive_of(small_base(), "plain")
    bases = {name: _copied(image, account) for name, account in accounts.items()}
    jobs = {name: lambda name=name: _harness(accounts[name], bases[name]) for name in accounts}
    podman = _Podman(accounts["subids"], bases["subids"])
    taken = in_turns({**jobs, "podman": podman.times}, repeat=rounds)
    medians = {name: _medians(rows) for name, rows in taken.items()}
    print(f"{'median of milliseconds':55} {'subids':>8} {'single':>8} {'target':>8}")
    for row in medians["subids"]:
        both = "".join(f" {medians[name][row] * 1000:8.1f}" for name in accounts)
        target = _TARGETS_S.get(row)
        print(f"{row:55}{both} {'' if target is None else f'{target * 1000:8.0f}'}")
    ours = medians["subids"][_ONE_COMMAND]
    for row, seconds in medians["podman"].items():
        print(f"{row:55} {seconds * 1000:8.1f}  of which ours takes {ours / seconds:.3f}")
    if boots_vm:
        seconds = _virtual_machine()
        print(f"{'a virtual machine, to its first command':55} {seconds * 1000:8.1f}")


def _copied(image: Path, account: Account) -> Path:
    return account.own(Path(shutil.copy(image, account.home / "base.tar")))


def _harness(account: Account, image: Path) -> Times:
    source = f"import sys; sys.argv = ['', {os.fspath(image)!r}]\n{_PROGRAM}"
    done = run_python(source, account=account)
    if done.returncode:
        raise SystemExit(f"bench: {last_line(done.stderr.decode())}")
    times: Times = json.loads(done.stdout)
    return times


def _medians(rounds: Sequence[Times]) -> Mapping[str, float]:
    return {
        name: statistics.median([one for times in rounds for one in times[name]])
        for name in rounds[0]
    }


class _Podman:
    """podman of an account, with an image loaded; it has no times where it does not work."""

    def __init__(self, account: Account, image: Path) -> None:
        self._account = account
        places = [account.home / name for name in ("root", "runroot", "tmp", "xdg")]
        for place in places:
            place.mkdir()
            account.own(place)
        root, runroot, temporary, runtime = map(os.fspath, places)
        places_of = ["--root", root, "--runroot", runroot, "--tmpdir", temporary]
        self._argv = ["podman", *places_of, "--storage-driver=overlay", *_PODMAN]
        self._env = {"XDG_RUNTIME_DIR": runtime}
        run_as([*self._argv, "load", "-q", "-i", image], account=account, env=self._env)
        listed = run_as([*self._argv, "images", "-q"], account=account, env=self._env)
        self._image = listed.stdout.decode().partition("\n")[0]

    def times(self) -> Times:
        """Return how long ``podman run --rm IMAGE true`` took."""
        argv = [*self._argv, *_PODMAN_RUN, self._image, "true"]
        run = timed(argv, account=self._account, env=self._env)
        if run.status:
            print(f"bench: podman: {last_line(run.stderr)}")
            return {}
        return {"podman run --rm": [run.wall_s]}


def _virtual_machine() -> float:
    from vmtests.images import BASIC, kernel, rootfs
    from vmtests.machine import Machine

    image = kernel("6.1"), rootfs(BASIC)
    began = time.perf_counter()
    with Machine(*image) as machine:
        machine.start()
        machine.succeed("true")
        return time.perf_counter() - began
