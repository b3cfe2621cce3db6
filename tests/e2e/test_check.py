"""--check runs the script twice, under other conditions, and tells what became otherwise."""

import os
import re
from pathlib import Path

import pytest

from tests.support.tarball import directory, file, tarball
from tests.support.workplace import Workplace, busybox_layer, layers_of

pytestmark = pytest.mark.userns

STABLE = """\
mkdir /d; touch /d/b /d/a; chown 5:6 /d/a; chmod 4755 /d/b; rm -r /srv/old; echo x >> /srv/file
ln -s b /d/link; mkfifo /pipe; date > /dev/null; mknod /null c 1 3
"""
DIFFERING = """\
first() { test ! -e /dev/shm/x && awk_free=$(cat /proc/self/stat) && test ${awk_free%% *} -lt 100; }
echo before $$ > /content
mkdir -p /var/log; date +%s > /var/log/install.log
if first; then touch /only; chmod 600 /srv/file; ln -s a /link; mkfifo /kind; chown 7 /owner
else ln -s b /link; mkdir /kind; rm /srv/old/file; fi
"""
EXPECTED = {
    "content": r"content from byte 7 on: b'before \d+\\n' and b'before \d+\\n'",
    "kind": r"fifo and directory",
    "link": r"target 'a' and 'b'",
    "only": r"only in the first run",
    "owner": r"changed only in the first run",
    "srv/file": r"changed only in the first run",
    "srv/old/file": r"deleted only in the second run",
    "var/log/install.log": r"content from byte \d+ on: .* \(a log: empty or remove it\)",
}


def base_of(place: Workplace) -> Path:
    more = tarball(
        directory("srv"),
        file("srv/file", b"same"),
        directory("srv/old"),
        file("owner", b"o"),
        file("srv/old/file", b"o"),
    )
    return place.base("base.tar", busybox_layer(), more)


def test_what_is_the_same_again_gives_the_image_of_one_run(any_workplace: Workplace) -> None:
    base = base_of(any_workplace)
    once = any_workplace.build(STABLE, "--owner", "keep", base=base, output="once.tar")
    checked = any_workplace.build(STABLE, "--owner", "keep", "--check", base=base)
    assert layers_of(checked) == layers_of(once)
    assert checked.read_bytes() == once.read_bytes()


def test_each_path_that_differs_is_named_and_how(any_workplace: Workplace) -> None:
    any_workplace.write("setup.sh", DIFFERING)
    args = ("--from", base_of(any_workplace), "--script", "setup.sh", "-o", "out.tar")
    done = any_workplace.run(*args, "--owner", "keep", "--check")
    stderr = done.stderr.decode()
    assert done.returncode == 125, stderr
    told = dict(re.findall(r"^rootrun: warning: check: '(.*?)': (.*)$", stderr, re.MULTILINE))
    assert told.keys() == EXPECTED.keys()
    for path, expected in EXPECTED.items():
        assert re.fullmatch(expected, told[path]), (path, told)
    assert f"check: the second run gives another layer: {len(told)} paths differ\n" in stderr
    assert not (any_workplace.path / "out.tar").exists()
    assert done.stdout == b""


CONDITIONS = """\
mkdir /d; for n in a b c d e f g h i j k l; do touch /d/$n; done; find /d > /names
date +%s > /time; cut -d. -f1 /proc/uptime > /uptime; cut -d' ' -f1 /proc/self/stat > /pid
grep Cpus_allowed_list /proc/self/status > /processors
touch /parity; chmod 60$(( $$ % 2 )) /parity; hostname > /hostname
"""


def test_the_second_run_is_at_another_time_with_other_pids(any_workplace: Workplace) -> None:
    any_workplace.write("setup.sh", CONDITIONS)
    args = ("--from", base_of(any_workplace), "--script", "setup.sh", "-o", "out.tar")
    stderr = any_workplace.run(*args, "--check").stderr.decode()
    uptimes = re.findall(r"'uptime': content .*: b'(\d+)\\n' and b'(\d+)\\n'", stderr)
    told = set(re.findall(r"check: '(\w+)': content", stderr))
    assert told >= {"time", "uptime", "pid", "names"}
    assert "check: 'parity': mode 600 and 601\n" in stderr
    assert "hostname" not in told
    assert ("processors" in told) == (len(os.sched_getaffinity(0)) > 1)
    assert uptimes, stderr


def test_a_script_that_fails_the_second_time_fails_the_check(any_workplace: Workplace) -> None:
    script = "test $(cut -d' ' -f1 /proc/self/stat) -lt 100 || exit 7\n"
    any_workplace.write("setup.sh", script)
    args = ("--from", base_of(any_workplace), "--script", "setup.sh", "-o", "out.tar")
    done = any_workplace.run(*args, "--check")
    assert done.returncode == 7, done.stderr.decode()
    assert not (any_workplace.path / "out.tar").exists()
