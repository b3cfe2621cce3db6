"""A warm run on a base of many files makes as many system calls as on one of few."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.images import docker_archive
from tests.support.program import clean_environment, installation
from tests.support.require import require_program
from tests.support.tarball import directory, file, tarball
from tests.support.users import Account
from tests.support.workplace import busybox_layer

pytestmark = [pytest.mark.userns, pytest.mark.root]

FEW, MANY = 10, 5000
MOST_MORE = 100  # how often who waits looks is up to the scheduler
IN_DIRECTORY = 100
CHANGE = "rm /srv/0/1; chmod 600 /srv/0/2; mv /srv/0/3 /srv/0/new; echo x > /srv/0/4"
# Of these there are as many as the base has bytes: they copy it.
_COPYING = "sendfile|copy_file_range|sync_file_range|fallocate|fadvise64"
_TO_BE_TRUSTED_S = 1.1  # a base that is younger than a second is hashed again


def write_base(path: Path, count: int, *, owner: int) -> None:
    """Write an image with ``count`` files of ``owner`` in a layer of their own."""
    parts = [directory("srv")]
    for number in range(count):
        if number % IN_DIRECTORY == 0:
            parts.append(directory(f"srv/{number // IN_DIRECTORY}"))
        name = f"srv/{number // IN_DIRECTORY}/{number}"
        parts.append(file(name, b"content", uid=owner, gid=owner))
    docker_archive(path, [busybox_layer(), tarball(*parts)])


def calls_of_warm_run(base: Path, account: Account) -> int:
    """Return how many system calls a warm run on ``base`` makes, in all its processes."""
    trace = base.with_suffix(".trace")
    program = os.fspath(installation() / "bin" / "rootrun")
    argv = [program, "--from", os.fspath(base), "-o", "out.tar", "-q", "--rootfs", "overlay"]
    strace = os.fspath(require_program("strace"))
    tracer = [strace, "-f", "-qq", "-u", account.name, "-o", os.fspath(trace)]
    nothing: list[str] = []
    for prefix in (nothing, nothing, tracer):
        subprocess.run(
            [*prefix, *argv, "--", "sh", "-c", CHANGE],
            user=None if prefix else account.uid,
            group=None if prefix else account.gid,
            extra_groups=None if prefix else [],
            env=clean_environment(account),
            cwd=account.home,
            capture_output=True,
            check=True,
        )
        time.sleep(_TO_BE_TRUSTED_S)
    begun = re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M)
    return sum(1 for name in begun if not re.fullmatch(_COPYING, name))


@pytest.mark.parametrize("owner", [0, 1000], ids=["root's", "an app's"])
@pytest.mark.parametrize("account_name", ["tester", "lone"])
def test_calls_do_not_grow_with_the_base(
    owner: int, account_name: str, request: pytest.FixtureRequest
) -> None:
    account: Account = request.getfixturevalue(account_name)
    place = account.new_directory()
    counts = []
    for count in (FEW, MANY):
        write_base(place / f"{count}.tar", count, owner=owner)
        counts.append(calls_of_warm_run(account.own(place / f"{count}.tar"), account))
    assert abs(counts[1] - counts[0]) <= MOST_MORE, counts
