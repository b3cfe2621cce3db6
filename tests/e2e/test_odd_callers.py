"""Callers as they come: odd paths, no home, no account, closed streams, other groups."""

import errno
import os
import pty
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rootrun.sandbox import bpf
from tests.support.images import assert_image_valid
from tests.support.program import clean_environment, installation
from tests.support.public import make_public_directory
from tests.support.require import require
from tests.support.restricted import run_below
from tests.support.users import Account
from tests.support.workplace import Workplace, top_layer

pytestmark = pytest.mark.userns
_SETHOSTNAME = 170  # on x86-64

NAMES = {
    "comma": "a,b",
    "colon": "c:d",
    "backslash": "e\\f",
    "newline": "new\nline",
    "space": "g h",
    "not ascii": "öß",
    "not UTF-8": os.fsdecode(b"\xff"),
    "percent": "%s%n",
    "quote": "'\"",
    "dash": "-x",
}
FROM_BASE = "rootrun --from base.tar -o o.tar"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_can_be_that_of_a_place(name: str, workplace: Workplace) -> None:
    place = workplace.path / name
    place.mkdir()
    workplace.own(place)
    base = workplace.own(workplace.base().rename(place / "base.tar"))
    workplace.own(place)
    here = Path(".", name)
    from_here = ("--from", f"./{here / 'base.tar'}", "-o", f"./{here / 'o.tar'}")
    options = [f"--tmpdir={here}", f"--cache-dir={here / 'cache'}"]
    for option in ([], options, [f"--iidfile={here / 'iid'}"]):
        done = workplace.run(*from_here, *option, "--", "touch", "/x")
        assert done.returncode == 0, done.stderr.decode()
        assert list(top_layer(place / "o.tar")) == ["x"]
    assert base.exists()
    assert set(os.listdir(place)) <= {"base.tar", "o.tar", "cache", "iid", "verified"}
    assert os.listdir(workplace.path) == [name]


def test_home_may_be_unset(any_workplace: Workplace) -> None:
    any_workplace.base()
    done = any_workplace.shell(f"unset HOME; {FROM_BASE} --no-cache -- touch /x")
    assert done.returncode == 0, done.stderr.decode()


@contextmanager
def nobody_known() -> Iterator[Account]:
    """Give an account that no passwd file has."""
    require(os.geteuid() == 0, "running as another uid needs root")
    home = make_public_directory("unknown")
    os.chown(home, 54321, 54321)
    try:
        yield Account(name="54321", uid=54321, gid=54321, home=home, subids=range(0))
    finally:
        subprocess.run(["rm", "-rf", home], check=True)


@pytest.mark.parametrize("has_home", [True, False], ids=["home", "no home"])
def test_uid_without_an_account_works(has_home: bool, root_workplace: Workplace) -> None:
    expected = root_workplace.build("touch /x\n").read_bytes()
    with nobody_known() as account:
        workplace = Workplace(path=account.home, account=account)
        workplace.base()
        workplace.write("setup.sh", "touch /x\n")
        unset = "" if has_home else "unset HOME; "
        done = workplace.shell(f"{unset}{FROM_BASE} --script setup.sh")
        assert done.returncode == 0, done.stderr.decode()
        assert (workplace.path / "o.tar").read_bytes() == expected
        assert (workplace.path / ".cache").exists() == has_home


def test_names_are_bytes_in_the_locale_posix(any_workplace: Workplace) -> None:
    place = any_workplace.path / "ö"
    place.mkdir()
    any_workplace.own(place)
    any_workplace.own(any_workplace.base().rename(place / "bäse.tar"))
    any_workplace.write("ö/sët.sh", "touch /é\n")
    args = ("--from", "ö/bäse.tar", "--script", "ö/sët.sh", "--tag", "t", "--tmpdir", "ö")
    outputs = set()
    for locale in ("POSIX", "C.UTF-8", "de_DE.ISO-8859-1"):
        done = any_workplace.run(*args, env={"LANG": locale, "LC_ALL": locale})
        assert done.returncode == 0, done.stderr.decode()
        outputs.add((any_workplace.path / "bäse-sët.tar").read_bytes())
    assert len(outputs) == 1


@pytest.mark.parametrize("path", ["PATH=", "PATH=/nowhere", "-u PATH"])
def test_a_path_without_programs_is_enough(path: str, any_workplace: Workplace) -> None:
    any_workplace.base()
    rootrun = installation() / "bin" / "rootrun"
    done = any_workplace.shell(f"env {path} {rootrun} --from base.tar -o o.tar -- touch /x")
    assert done.returncode == 0, done.stderr.decode()
    assert list(top_layer(any_workplace.path / "o.tar")) == ["x"]


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_streams_may_be_closed(closed: str, any_workplace: Workplace) -> None:
    any_workplace.base()
    any_workplace.write("setup.sh", "cat; echo said; echo told >&2; touch /x\n")
    done = any_workplace.shell(f"{FROM_BASE} --script setup.sh {closed}")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.startswith(b"sha256:")
    assert done.stdout.count(b"\n") == 1
    assert list(top_layer(any_workplace.path / "o.tar")) == ["x"]
    assert_image_valid(any_workplace.path / "o.tar")  # what was said went into no file of ours


@pytest.mark.parametrize("options", ["", "--json", "-o -"], ids=["id", "json", "image"])
def test_closed_stdout_is_told_before_anything_is_done(
    options: str, any_workplace: Workplace
) -> None:
    any_workplace.base()
    done = any_workplace.shell(f"{FROM_BASE} {options} -- touch /x >&-")
    assert done.returncode == 125
    assert done.stderr.startswith(b"rootrun: error: write standard output: it is closed\n")
    assert os.listdir(any_workplace.path) == ["base.tar"]


@pytest.mark.parametrize("command", ["--help", "help", "completion bash", "doctor", "cache list"])
def test_closed_stdout_of_a_report_is_an_error(command: str, workplace: Workplace) -> None:
    done = workplace.shell(f"rootrun {command} >&-")
    assert done.returncode == 125
    assert done.stderr.startswith(b"rootrun: error: write standard output: it is closed\n")


@pytest.mark.parametrize("options", ["-o o.tar", "-o -"], ids=["id", "image"])
def test_a_reader_that_is_gone_ends_the_run_as_sigpipe_does(
    options: str, any_workplace: Workplace
) -> None:
    any_workplace.base()
    base = "rootrun -q --from base.tar"
    # Nobody reads once the script runs: the fifo's only reader has closed it by then.
    command = (
        f"mkfifo gate pipe; (exec 3<pipe; exec 3<&-; echo > gate) & "
        f"{base} {options} --bind gate:/gate -- sh -c 'read x < /gate' > pipe; "
        "echo status $? >&2; wait"
    )
    done = any_workplace.shell(command)
    assert done.stderr == b"status 141\n"


def test_an_unwritable_cache_is_passed_over_with_a_word(any_workplace: Workplace) -> None:
    any_workplace.base()
    any_workplace.write("file", "")
    done = any_workplace.run(
        *("--cache-dir", "file/cache", "--from", "base.tar", "-o", "o.tar", "--", "touch", "/x")
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"rootrun: warning: passing over the cache: " in done.stderr
    assert list(top_layer(any_workplace.path / "o.tar")) == ["x"]


@pytest.mark.parametrize("kind", ["subids", "single"])
def test_a_directory_of_the_callers_other_group_takes_the_output(
    kind: str, tester: Account, lone: Account, public_path: Path
) -> None:
    group = 54000
    account = tester if kind == "subids" else lone
    shared = Workplace(path=public_path / "shared", account=None)
    shared.path.mkdir()
    base = shared.base()
    for path, mode in ((shared.path, 0o770), (base, 0o640)):
        os.chown(path, 0, group)
        path.chmod(mode)
    for output in ("o.tar", "oci:lay", "oci-archive:a.tar"):
        done = subprocess.run(
            [
                *(installation() / "bin" / "rootrun", "--from", "base.tar", "-o", output),
                *("--tmpdir", ".", "--iidfile", "iid", "--", "touch", "/x"),
            ],
            user=account.uid,
            group=account.gid,
            extra_groups=[group],
            env=clean_environment(account),
            cwd=shared.path,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
    assert sorted(os.listdir(shared.path)) == ["a.tar", "base.tar", "iid", "lay", "o.tar"]
    assert {p.stat().st_uid for p in shared.path.iterdir()} == {0, account.uid}


def test_nothing_of_the_caller_is_in_the_image(any_workplace: Workplace) -> None:
    any_workplace.base()
    env = {"SECRET": "s3cret", "TMPDIR": "/tmp", "LANG": "C.UTF-8"}
    script = "env; umask; hostname; cat /proc/self/status | head -0; id -u"
    args = ("--from", "base.tar", "-o", "o.tar", "--", "sh", "-c", f"({script}) > /said")
    done = any_workplace.run(*args, env=env)
    assert done.returncode == 0, done.stderr.decode()
    content = (any_workplace.path / "o.tar").read_bytes()
    for word in (b"s3cret", os.fsencode(any_workplace.path), os.uname().nodename.encode() + b"\n"):
        assert word not in content


def test_the_script_has_no_terminal_of_the_caller(any_workplace: Workplace) -> None:
    any_workplace.base()
    controller, terminal = pty.openpty()
    account = any_workplace.account
    script = "test ! -t 0 && ! (: < /dev/tty) 2> /dev/null && echo fine > /said"
    argv: list[str | Path] = [installation() / "bin" / "rootrun", "-q", "--from", "base.tar"]
    done = subprocess.run(
        [*argv, "-o", "o.tar", "--", "sh", "-c", script],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env=clean_environment(account),
        cwd=any_workplace.path,
        check=False,
    )
    os.close(terminal)
    os.close(controller)
    assert done.returncode == 0
    assert list(top_layer(any_workplace.path / "o.tar")) == ["said"]


def test_where_no_host_name_can_be_set_the_script_runs_with_a_word(
    lone_workplace: Workplace,
) -> None:
    require(os.uname().machine == "x86_64", "the filter is for x86-64")
    forbidding: list[bpf.Item] = [
        *(bpf.load(bpf.OFFSET_NUMBER), bpf.jump_if_equal(_SETHOSTNAME, "", "others")),
        *(bpf.answer(bpf.RETURN_ERRNO | errno.EPERM), "others", bpf.answer(bpf.RETURN_ALLOW)),
    ]
    argv: list[str | Path] = [installation() / "bin" / "rootrun", "--from"]
    argv += [lone_workplace.base(), "-o", "out.tar", "--", "touch", "/x"]
    done = run_below(bpf.assemble(forbidding), argv, lone_workplace)
    assert done.returncode == 0, done.stderr.decode()
    assert b"warning: set hostname: Operation not permitted: the script sees" in done.stderr
    assert list(top_layer(lone_workplace.path / "out.tar")) == ["x"]


@pytest.mark.parametrize("kind", ["pid", "ipc", "uts", "cgroup", "net"])
def test_a_limit_of_namespaces_is_named(kind: str, lone_workplace: Workplace) -> None:
    # The limits belong to a user namespace: this one is that of the test alone.
    base = lone_workplace.base()
    limit = f"max_{kind}_namespaces"
    run = f"echo 0 > /proc/sys/user/{limit}; exec rootrun --from {base} -o out.tar -- true"
    done = lone_workplace.shell(f"unshare -Ur sh -c '{run}'")
    assert done.returncode == 125
    *_, error, hint = done.stderr.decode().splitlines()
    assert error == "rootrun: error: create namespaces: No space left on device"
    assert hint == (
        f"rootrun: hint: user.{limit} is 0, or reached: as root, sysctl user.{limit}=10000"
    )
