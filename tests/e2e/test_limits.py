"""Limits of what a script may use: each holds for each kind of caller, and is told when it does."""

import json
import os
import re
import resource
import subprocess

import pytest

from tests.support.compiled import compiled_program
from tests.support.workplace import Workplace, content_of

pytestmark = pytest.mark.userns

_OUTPUT = "out.tar"
_MEMORY = "64M"
_DISK = "10M"
_PIDS = 50
# Takes as many MiB as its argument says, a page at a time, and keeps them.
_HOG = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **args) {
    long size = atol(args[count - 1]) << 20;
    char *taken = malloc(size);
    for (long at = 0; at < size; at += 4096) memset(taken + at, 1, 4096);
    sleep(60);
    return 0;
}
"""
# Six processes that see the same 40 MiB, for longer than it takes to look at them.
_SHARING = r"""
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    memset(malloc(40 << 20), 1, 40 << 20);
    for (int i = 0; i < 5; i++) if (!fork()) break;
    usleep(700000);
    while (wait(0) > 0) {}
    return 0;
}
"""
# Writes 20 MiB into a file that has no name any more.
_UNLINKED = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    static char block[1 << 20];
    int fd = open("/gone", O_CREAT | O_RDWR, 0600);
    unlink("/gone");
    for (int i = 0; i < 20; i++) if (write(fd, block, sizeof block) < 0) return 1;
    return 0;
}
"""


def limited(place: Workplace, script: str, *limits: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``script`` on a busybox under ``limits``, whatever comes of it."""
    place.base()
    place.write("setup.sh", script)
    return place.run(
        *("--from", "base.tar", "--script", "setup.sh", "-o", _OUTPUT, *place.options, *limits)
    )


def assert_exceeded(
    done: subprocess.CompletedProcess[bytes], place: Workplace, option: str
) -> None:
    """Fail unless the run ended as one that went beyond the limit of ``option``."""
    told = [line for line in done.stderr.decode().splitlines() if "rootrun: error:" in line]
    assert done.returncode == 125, done.stderr.decode()
    assert len(told) == 1
    assert f" {option}: " in told[0]
    assert b"Traceback" not in done.stderr
    assert not (place.path / _OUTPUT).exists()


@pytest.mark.parametrize(
    "script",
    [
        "/hog 200\n",
        "for n in 1 2 3 4 5 6 7 8; do /hog 16 & done; wait\n",
        "dd if=/dev/zero of=/dev/shm/big bs=1M count=200 || sleep 60\n",
        "dd if=/dev/zero of=/dev/shm/big bs=1M count=40; /hog 40\n",
    ],
    ids=["one process", "many small ones", "shared memory files", "files and a process"],
)
def test_more_memory_than_allowed_ends_the_script(script: str, any_workplace: Workplace) -> None:
    hog = compiled_program(_HOG, any_workplace.path / "hog")
    done = limited(any_workplace, script, "--memory", _MEMORY, "--copy", f"{hog}:/hog")
    assert_exceeded(done, any_workplace, "--memory")


def test_memory_below_the_limit_is_no_matter(any_workplace: Workplace) -> None:
    script = (
        "dd if=/dev/zero of=/dev/shm/x bs=1M count=20\ndd if=/dev/zero of=/dev/null bs=8M count=2\n"
    )
    done = limited(any_workplace, script, "--memory", _MEMORY)
    assert done.returncode == 0, done.stderr.decode()


def test_memory_that_processes_share_counts_once(any_workplace: Workplace) -> None:
    program = compiled_program(_SHARING, any_workplace.path / "sharing")
    done = limited(
        any_workplace, "/sharing\n", "--memory", _MEMORY, "--copy", f"{program}:/sharing"
    )
    assert done.returncode == 0, done.stderr.decode()


# Doubles as fast as it can, and would end with 1023: more than that helps nobody.
_BOMB = """
bomb() { [ $1 -gt 8 ] || { bomb $(($1 + 1)) & bomb $(($1 + 1)) & }; sleep 10; }
bomb 0
"""


def test_a_fork_bomb_gets_no_further_than_its_limit(any_workplace: Workplace) -> None:
    done = limited(any_workplace, _BOMB, "--pids", str(_PIDS))
    told = done.stderr.decode()
    if "pids: kept by counting" in told:
        assert_exceeded(done, any_workplace, "--pids")
        assert re.search(r"more than 50 at a time: there were \d+", told)
    else:
        assert "fork" in told  # failed, and what the script made of that is its own


def test_so_many_processes_as_allowed_can_run(any_workplace: Workplace) -> None:
    count = _PIDS - 3  # the shell, and two that count them
    script = (
        f"i=0; while [ $i -lt {count} ]; do sleep 5 & i=$((i+1)); done\njobs -p | wc -l > /count\n"
    )
    done = limited(any_workplace, script, "--pids", str(_PIDS))
    assert done.returncode == 0, done.stderr.decode()
    assert content_of(any_workplace.path / _OUTPUT, "count") == b"%d\n" % count


def test_processes_of_all_users_count_together(workplace: Workplace) -> None:
    script = (
        f"i=0; while [ $i -lt {_PIDS - 10} ]; do sleep 5 & i=$((i+1)); done\n"
        f"su app -s /bin/sh -c 'i=0; while [ $i -lt {_PIDS} ]; do sleep 5 & i=$((i+1)); done'\n"
    )
    done = limited(workplace, script, "--pids", str(_PIDS))
    assert done.returncode not in (0, 125), done.stderr.decode()
    assert b"fork" in done.stderr


_MANY_FILES = """
mkdir /d; i=0
while [ $i -lt 400 ]; do dd if=/dev/zero of=/d/$i bs=64k count=1 2> /dev/null; i=$((i+1)); done
sleep 60
"""


@pytest.mark.parametrize(
    "script",
    [
        "dd if=/dev/zero of=/big bs=1M count=100; sleep 60\n",
        _MANY_FILES,
        "dd if=/dev/zero of=/big bs=1M count=11\n",
    ],
    ids=["one big file", "many small ones", "a short script"],
)
def test_a_larger_change_than_allowed_ends_the_script(
    script: str, any_workplace: Workplace
) -> None:
    assert_exceeded(limited(any_workplace, script, "--disk", _DISK), any_workplace, "--disk")


@pytest.mark.parametrize(
    "script",
    [
        "dd if=/dev/zero of=/sparse bs=1 count=1 seek=30000000\n",
        "dd if=/dev/zero of=/part bs=1M count=9; ln /part /other; mv /part /third; rm /other\n",
        "dd if=/dev/zero of=/dev/shm/x bs=1M count=20\n",
    ],
    ids=["holes", "links", "elsewhere"],
)
def test_what_is_no_change_is_not_counted(script: str, any_workplace: Workplace) -> None:
    done = limited(any_workplace, script, "--disk", _DISK)
    assert done.returncode == 0, done.stderr.decode()


def test_a_deleted_file_that_is_still_open_is_no_change(any_workplace: Workplace) -> None:
    program = compiled_program(_UNLINKED, any_workplace.path / "unlinked")
    any_workplace.own(program)
    done = limited(any_workplace, "/bin/x\n", "--disk", _DISK, "--bind", f"{program}:/bin/x:ro")
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.root
def test_a_full_tmpfs_below_the_root_is_told_as_the_limit(root_workplace: Workplace) -> None:
    scratch = root_workplace.path / "scratch"
    scratch.mkdir()
    subprocess.run(["mount", "-t", "ramfs", "none", scratch], check=True)
    try:
        done = limited(
            root_workplace,
            "dd if=/dev/zero of=/big bs=1M count=100\n",
            *("--disk", _DISK, "--tmpdir", "scratch", "-v"),
        )
    finally:
        subprocess.run(["umount", scratch], check=True)
    assert b"upper on a tmpfs" in done.stderr
    assert_exceeded(done, root_workplace, "--disk")


def test_open_files_are_limited(any_workplace: Workplace) -> None:
    script = "ulimit -n > /soft; ulimit -Hn > /hard; if ulimit -n 21; then exit 1; fi\n"
    done = limited(any_workplace, script, "--nofile", "20")
    assert done.returncode == 0, done.stderr.decode()
    output = any_workplace.path / _OUTPUT
    assert content_of(output, "soft") == content_of(output, "hard") == b"20\n"


def test_more_open_files_than_this_machine_allows_are_refused(workplace: Workplace) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = limited(workplace, "true\n", "--nofile", str(hard + 1))
    assert_exceeded(done, workplace, "--nofile")
    assert f"more than the hard limit of {hard}" in done.stderr.decode()


def test_processors_are_limited(any_workplace: Workplace) -> None:
    done = limited(any_workplace, "busybox nproc > /count\n", "--cpus", "1")
    assert done.returncode == 0, done.stderr.decode()
    assert content_of(any_workplace.path / _OUTPUT, "count") == b"1\n"


def test_more_processors_than_there_are_limit_nothing(workplace: Workplace) -> None:
    done = limited(workplace, "busybox nproc > /count\n", "--cpus", "1000")
    assert done.returncode == 0, done.stderr.decode()
    count = len(os.sched_getaffinity(0))
    assert content_of(workplace.path / _OUTPUT, "count") == b"%d\n" % count


def test_the_script_leaves_no_core(any_workplace: Workplace) -> None:
    done = limited(any_workplace, "ulimit -Hc > /core-limit; ulimit -c unlimited || :\n")
    assert done.returncode == 0, done.stderr.decode()
    assert content_of(any_workplace.path / _OUTPUT, "core-limit") == b"0\n"


def test_json_tells_what_the_script_used(any_workplace: Workplace) -> None:
    hog = compiled_program(_HOG, any_workplace.path / "hog")
    script = (
        "for n in 1 2 3; do /hog 40 & done; sleep 1; kill $(jobs -p) || :\n"
        "i=0; while [ $i -lt 40 ]; do /bin/true; i=$((i+1)); done\n"
        "(while :; do :; done) & sleep 0.3\n"
    )
    done = limited(any_workplace, script, "--copy", f"{hog}:/hog", "--json")
    assert done.returncode == 0, done.stderr.decode()
    usage = json.loads(done.stdout)["usage"]
    assert 120 << 20 < usage["peakMemoryBytes"] < 300 << 20
    assert 40 < usage["processes"] < 80
    assert 0.02 < usage["cpuSeconds"] < 60
    assert 1.2 < usage["wallSeconds"] < 60


@pytest.mark.parametrize(
    ("limit", "how"),
    [
        (("--memory", "1G"), "memory"),
        (("--pids", "100"), "pids"),
        (("--cpus", "1"), "cpu"),
    ],
    ids=["memory", "pids", "cpus"],
)
def test_the_log_says_who_keeps_a_limit(
    limit: tuple[str, str], how: str, any_workplace: Workplace
) -> None:
    done = limited(any_workplace, "true\n", *limit, "--verbose")
    assert done.returncode == 0, done.stderr.decode()
    assert re.search(rf"^rootrun: limits: {how}: kept by ", done.stderr.decode(), re.M)
