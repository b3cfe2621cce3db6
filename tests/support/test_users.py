"""The accounts of the tests are what the tests take them for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import run_as, run_python, run_rootrun
from tests.support.public import PREFIX, public_parent, remove_directory
from tests.support.require import require
from tests.support.stacks import make_deep
from tests.support.users import Account, sweep_dead_sessions, temporary_account


def test_account_with_subordinate_ids_owns_its_ranges(tester: Account) -> None:
    line = f"{tester.name}:{tester.subids.start}:65536"
    assert line in Path("/etc/subuid").read_text().splitlines()
    assert line in Path("/etc/subgid").read_text().splitlines()


def test_lone_account_has_no_subordinate_ids(lone: Account) -> None:
    assert lone.name not in Path("/etc/subuid").read_text()
    assert not lone.subids


@pytest.mark.root
def test_processes_and_home_end_with_the_account() -> None:
    with temporary_account("gone", subids=False) as account:
        script = "sleep 600 >/dev/null 2>&1 & touch here; echo $!"
        pid = int(run_as(["sh", "-c", script], account=account).stdout)
        assert Path(f"/proc/{pid}").exists()
        assert (account.home / "here").stat().st_uid == account.uid
    assert not account.home.exists()
    assert account.name not in Path("/etc/passwd").read_text()
    assert _is_dead(pid)


@pytest.mark.root
def test_account_ends_after_a_process_that_takes_its_time_to_die() -> None:
    with temporary_account("busy", subids=False) as account:
        large = "import time; memory = b'x' * (1 << 30); print(flush=True); time.sleep(600)"
        argv = ["/usr/bin/python3", "-c", large]
        process = subprocess.Popen(argv, user=account.uid, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
    process.communicate()
    assert account.name not in Path("/etc/passwd").read_text()


def test_directory_that_another_removes_as_well_is_removed(public_path: Path) -> None:
    shared = public_path / "shared"
    for number in range(3000):
        (shared / str(number % 50) / str(number)).mkdir(parents=True)
    call = f"from pathlib import Path; remove_directory(Path({os.fspath(shared)!r}))"
    argv = [sys.executable, "-c", f"from tests.support.public import remove_directory; {call}"]
    checkout = Path(__file__).parent.parent.parent
    removers = [subprocess.Popen(argv, cwd=checkout) for _ in range(2)]
    assert [remover.wait() for remover in removers] == [0, 0]
    assert not shared.exists()


def test_every_account_can_run_the_program(tester: Account, lone: Account) -> None:
    for account in (None, tester, lone):
        done = run_rootrun(["--version"], account=account)
        assert done.stderr == b""
        assert done.stdout.startswith(b"rootrun ")


def test_every_account_can_import_the_package(lone: Account) -> None:
    done = run_python("import os, rootrun, psutil, prctl; print(os.getuid())", account=lone)
    assert done.stdout.decode() == f"{lone.uid}\n", done.stderr


def _is_dead(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_session_that_was_killed_is_swept() -> None:
    session = """
import os, signal
from tests.support.users import temporary_account
with temporary_account("killed", subids=True) as account:
    print(account.name, account.home.parent, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    require(os.geteuid() == 0, "making accounts needs root")
    checkout = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", session], capture_output=True, text=True, cwd=checkout, check=False
    )
    name, directory = done.stdout.split()
    assert name in Path("/etc/passwd").read_text()
    sweep_dead_sessions()
    assert name not in Path("/etc/passwd").read_text()
    assert name not in Path("/etc/subuid").read_text()
    assert not Path(directory).exists()


def test_what_is_deep_is_swept_too() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = public_parent() / f"{PREFIX}{ended.pid}-deep"
    left.mkdir()
    try:
        make_deep(left, depth=1500)  # deeper than Python's calls can be
        sweep_dead_sessions()
        assert not left.exists()
    finally:
        remove_directory(left)


@pytest.mark.root
@pytest.mark.parametrize("name", ["containers-user", "podman-run"])
def test_what_podman_leaves_ends_with_the_account(name: str) -> None:
    with temporary_account("pod", subids=False) as account:
        left = Path(f"/tmp/{name}-{account.uid}")
        (left / "libpod").mkdir(parents=True)
        account.own(left)
    assert not left.exists()
