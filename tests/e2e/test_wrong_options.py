"""Options that only the image or the machine can refuse: one clear line, and nothing left."""

from pathlib import Path

import pytest

from tests.e2e.test_bad_input import refused
from tests.support.workplace import Workplace, content_of

pytestmark = pytest.mark.userns

WRONG = {
    "ref of a bare path": (["--from", "base.tar:1"], "read image: base.tar:1: No such file"),
    "ref that is not there": (
        ["--from", "docker-archive:base.tar:x:1"],
        "read image: base.tar: no image 'x:1'",
    ),
    "no layout": (["--from", "oci:dir"], "read image: dir: not an OCI layout"),
    "other machine": (["--arch", "s390x"], "run image: s390x: programs of this architecture"),
    "working directory": (["-w", "/nowhere"], "working directory: /nowhere: No such file"),
    "user": (["-u", "who"], "user who: not in the image's /etc/passwd"),
    "group": (["-u", "root:who"], "group who: not in the image's /etc/group"),
    "copy below a file": (["--copy", "dir:/bin/cat/x"], "--copy: /bin/cat/x: in the image: "),
    "copy of a device": (["--copy", "/dev/null:/x"], "--copy: '/dev/null': not a file, directory"),
    "bind below a file": (["--bind", "dir:/bin/cat/x"], "mount /bin/busybox/x: "),
    "file on a directory": (["--bind", "file:/etc"], "mount /etc: not an ordinary file"),
    "directory on a file": (["--bind", "dir:/etc/passwd"], "mount /etc/passwd: not an ordinary"),
    "tmpfs on a symlink": (["--tmpfs", "/bin/sh"], "mount /bin/sh: not an ordinary directory"),
    "bind on /proc": (["--bind", "dir:/proc"], "mount: /proc: something else is mounted there"),
    "two at one place": (
        ["--bind", "dir:/x", "--tmpfs", "/./x/"],
        "mount: /x: something else is mounted there",
    ),
    "output in no directory": (["-o", "nodir/o.tar"], "write image: nodir/o.tar: No such file"),
    "output is a directory": (["-o", "dir"], "write image: dir: Is a directory"),
    "output is a device": (["-o", "/dev/null"], "write image: /dev/null: not a regular file"),
    "layout is a file": (["-o", "oci:base.tar"], "write image: base.tar: exists and is not"),
    "layout is another directory": (["-o", "oci:dir"], "write image: dir: "),
    "place of the id": (["--iidfile", "/etc/iid"], "--iidfile: '/etc/iid': Permission denied"),
    "scratch": (["--tmpdir", "/proc"], "make a scratch directory: /proc/"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_option_is_told_in_one_line(
    options: list[str], message: str, workplace: Workplace
) -> None:
    workplace.base()
    workplace.write("file", "")
    directory = workplace.path / "dir"
    directory.mkdir()
    workplace.own(directory)
    workplace.write("dir/content", "")
    line = refused(workplace, "--from", "base.tar", *options)
    assert message in line


def test_own_resolv_conf_wins_over_the_hosts(workplace: Workplace) -> None:
    workplace.write("mine", "nameserver 192.0.2.1\n")
    options = ("--network", "host", "--bind", "mine:/etc/resolv.conf:ro")
    output = workplace.build("cat /etc/resolv.conf > /said\n", *options)
    assert content_of(output, "said") == b"nameserver 192.0.2.1\n"


@pytest.mark.parametrize("action", ["list", "verify", "prune"])
@pytest.mark.parametrize(
    ("directory", "why"), [("file", "Not a directory"), ("nodir", "No such file or directory")]
)
def test_a_cache_that_is_none_is_told(
    directory: str, why: str, action: str, workplace: Workplace
) -> None:
    workplace.write("file", "")
    done = workplace.run("cache", action, "--cache-dir", directory)
    assert done.returncode == 125
    assert done.stderr.decode() == f"rootrun: error: cache: {directory!r}: {why}\n"


@pytest.mark.parametrize("action", ["list", "verify", "prune"])
def test_no_cache_yet_is_an_empty_one(action: str, workplace: Workplace) -> None:
    done = workplace.run("cache", action, env={"HOME": str(Path(workplace.path, "home"))})
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.endswith(b" 0 B in all\n")


@pytest.mark.parametrize("output", ["nodir/o.tar", "dir"])
def test_export_tells_the_output_as_it_was_spelt(output: str, workplace: Workplace) -> None:
    workplace.base()
    (workplace.path / "dir").mkdir()
    done = workplace.run("export", "base.tar", "-o", output)
    assert done.returncode == 125
    assert f": {output}: " in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
