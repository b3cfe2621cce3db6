"""Another account of the host, while a run is under way: it reaches nothing of the image."""

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.e2e.test_ending import members_of, start
from tests.support.program import run_python
from tests.support.tarball import directory, file, hardlink, tarball
from tests.support.users import Account
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns

TEMPTING = tarball(
    directory("./", 0o777),
    directory("open", 0o7777),
    file("open/set-id", b"#!/bin/sh\n", 0o6777),
    file("open/secret", b"secret", 0o666),
    hardlink("open/linked", "open/secret"),
    file("open/capable", b"x", 0o777, xattrs={"user.x": b"1"}),
)


@contextmanager
def sleeping(place: Workplace, umask: str) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a run on a tempting image, with ``umask``, whose script has said that it is there."""
    place.base("base.tar", busybox_layer(), TEMPTING)
    with_umask = ("/bin/sh", "-c", f'umask {umask}; exec "$@"', "-")
    script = "echo secret > /open/made; chmod 6777 /open/made; echo ready >&2; sleep 1000"
    arguments = ("--from", "base.tar", "--tmpdir", "scratch", "--cache-dir", "cache")
    command = ("-o", "out.tar", *place.options, "--", "sh", "-c", script)
    process = start(place, *arguments, *command, stdin=subprocess.DEVNULL, below=with_umask)
    try:
        assert process.stderr is not None
        while b"ready" not in (line := process.stderr.readline()):
            assert line, "the run ended before its script was ready"
        yield process
    finally:
        process.terminate()
        process.communicate()


def below(top: Path) -> list[Path]:
    """Return all that is below ``top``."""
    return [
        Path(directory, name)
        for directory, directories, files in os.walk(top)
        for name in (*directories, *files)
    ]


def is_set_id(path: Path) -> bool:
    """Say whether ``path`` is a program that runs as its owner."""
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) and bool(mode & stat.S_ISUID)


# What another account tries with each path; "link" is the attack of giving a set-id file a name
# that survives its directory.
_TRY = """
import os
tried = {
    "stat": os.lstat, "list": os.listdir, "read": lambda path: os.open(path, os.O_RDONLY),
    "write": lambda path: os.open(path, os.O_WRONLY), "chmod": lambda path: os.chmod(path, 0o777),
    "execute": lambda path: os.posix_spawn(path, [path], {}), "enter": os.chdir,
    "remove": os.unlink, "rename": lambda path: os.rename(path, path + "x"),
    "link": lambda path: os.link(path, "linked"),
    "make": lambda path: os.mkdir(path + "/made"), "xattr": os.listxattr,
}
count = 0
for path in sys.stdin.buffer.read().split(b"\\0"):
    path = os.fsdecode(path)
    for name, attempt in tried.items():
        try:
            attempt(path)
        except OSError:
            count += 1
        else:
            print(name, path)
print(count)
"""


@pytest.mark.parametrize("umask", ["000", "077"])
def test_another_account_reaches_nothing_of_a_run(
    umask: str, any_workplace: Workplace, tester: Account, lone: Account
) -> None:
    """CVE-2021-41103, CVE-2024-38531: set-id files of the image, below what others can walk."""
    place = any_workplace
    scratch, cache = place.path / "scratch", place.path / "cache"
    scratch.mkdir(mode=0o755)
    place.own(scratch)
    with sleeping(place, umask) as process:
        (run,) = scratch.iterdir()
        assert [stat.S_IMODE(top.stat().st_mode) for top in (run, cache)] == [0o700, 0o700]
        assert not [path for path in below(cache) if is_set_id(path)]
        assert {path.name for path in below(run) if is_set_id(path)} >= {"set-id", "made"}
        seen_by_members = [
            Path(f"/proc/{member.pid}/{way}/{name}")
            for member in (psutil.Process(process.pid), *members_of(process))
            for way in ("root/open", "cwd/open", "fd")
            for name in ("set-id", "secret", "3")
        ]
        paths = [os.fsencode(path) for path in (*below(run), *below(cache), *seen_by_members)]
        other = tester if place.account is lone else lone
        done = run_python(_TRY, account=other, stdin=b"\0".join(paths))
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == f"{12 * len(paths)}\n"
