"""Unprivileged accounts, made for a test session and removed with all that is theirs.

Their names hold the pid of the session, so that two sessions on one machine
never meet, and so that what a killed session left behind can be told and swept.
"""

import fcntl
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.public import PREFIX, make_public_directory, public_parent, remove_directory

_SUBID_COUNT = 65536
_GONE_WITHIN_S = 30
_IN_USE = 8  # exit status of userdel(8)
_FIRST_SUBID = 200_000_000  # far above what useradd(8) hands out by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An unprivileged account. ``home`` is its own, on a path that everybody can walk."""

    name: str
    uid: int
    gid: int
    home: Path
    subids: range  # the same for uids and gids, empty for none

    def new_directory(self) -> Path:
        """Make a fresh directory in ``home`` that belongs to the account."""
        path = Path(tempfile.mkdtemp(dir=self.home))
        os.chown(path, self.uid, self.gid)
        return path

    def own(self, path: Path) -> Path:
        """Give ``path`` to the account and return it."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        return path


@contextmanager
def temporary_account(name: str, *, subids: bool) -> Iterator[Account]:
    """Make an account called after ``name`` and this process; needs root.

    At the end its processes are killed, the account and its home removed.
    """
    full_name = f"{PREFIX}{os.getpid()}{name}"
    base = make_public_directory(name)
    try:
        yield _create(full_name, base=base, subids=subids)
    finally:
        _remove(full_name)
        remove_directory(base)


def processes_of(account: Account) -> list[int]:
    """Return the pids of all processes with an id of ``account``; zombies are none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            uid = _real_uid(process)
            is_over = "State:\tZ" in (process / "status").read_text()
            if (uid == account.uid or uid in account.subids) and not is_over:
                found.append(int(process.name))
    return found


def sweep_dead_sessions() -> None:
    """Remove the accounts and directories of sessions that were killed before they could."""
    if os.geteuid() == 0:
        for line in Path("/etc/passwd").read_text().splitlines():
            name = line.partition(":")[0]
            if _is_of_dead_session(name):
                _remove(name)
    for path in public_parent().glob(f"{PREFIX}*-*"):
        if _is_of_dead_session(path.name):
            with suppress(OSError):  # another user's, or another session sweeps too
                remove_directory(path)


def _is_of_dead_session(name: str) -> bool:
    session = re.match(rf"{PREFIX}(\d+)", name)
    return session is not None and not Path(f"/proc/{session[1]}").exists()


def _create(name: str, *, base: Path, subids: bool) -> Account:
    home = base / "home"
    with _account_files_locked():
        # A system account gets no subordinate ids by itself, whatever login.defs says.
        _run("useradd", "--system", "--user-group", "--no-create-home", "--no-log-init",
             "--home-dir", os.fspath(home), "--shell", "/bin/sh", name)  # fmt: skip
        granted = _grant_subids(name) if subids else range(0)
    uid, gid = _ids_of(name)
    home.mkdir(mode=0o755)
    os.chown(home, uid, gid)
    return Account(name=name, uid=uid, gid=gid, home=home, subids=granted)


def _grant_subids(name: str) -> range:
    start = max([_FIRST_SUBID, *(taken.stop for taken in _taken_subids())])
    granted = range(start, start + _SUBID_COUNT)
    span = f"{granted.start}-{granted.stop - 1}"
    _run("usermod", "--add-subuids", span, "--add-subgids", span, name)
    return granted


def _taken_subids() -> Iterator[range]:
    for path in (Path("/etc/subuid"), Path("/etc/subgid")):
        if path.exists():
            for line in path.read_text().splitlines():
                _, start, count = line.split(":")
                yield range(int(start), int(start) + int(count))


def _remove(name: str) -> None:
    deadline_s = time.monotonic() + _GONE_WITHIN_S
    with suppress(LookupError):
        uid, _ = _ids_of(name)
        while True:
            _kill_processes(name)
            with _account_files_locked():  # its group and its subordinate ids go along
                done = subprocess.run(["userdel", name], capture_output=True, check=False)
            if done.returncode != _IN_USE or time.monotonic() > deadline_s:
                break
            time.sleep(0.01)  # what was killed is in use until somebody has waited for it
        assert done.returncode == 0, done.stderr
        _remove_left_by_podman(uid)


def _remove_left_by_podman(uid: int) -> None:
    # It makes them there whatever places it is given; no process of the account uses them now.
    for name in ("containers-user", "podman-run"):
        place = Path(f"/tmp/{name}-{uid}")
        if place.exists() and place.lstat().st_uid == uid:
            remove_directory(place)


def _kill_processes(name: str) -> None:
    uid, _ = _ids_of(name)
    owned = {uid}
    for line in Path("/etc/subuid").read_text().splitlines():
        owner, start, count = line.split(":")
        if owner == name:
            owned.update(range(int(start), int(start) + int(count)))
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if process.stat().st_uid in owned or _real_uid(process) in owned:
                os.kill(int(process.name), signal.SIGKILL)


def _real_uid(process: Path) -> int:
    # The owner of /proc/PID is root for a process that is not dumpable; its status tells the truth.
    status = (process / "status").read_text()
    return int(status.partition("\nUid:")[2].split(maxsplit=1)[0])


def _ids_of(name: str) -> tuple[int, int]:
    # Read the file, not getpwnam(3): that may ask caches that do not know the account yet.
    for line in Path("/etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2]), int(fields[3])
    raise LookupError(name)


@contextmanager
def _account_files_locked() -> Iterator[None]:
    descriptor = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
