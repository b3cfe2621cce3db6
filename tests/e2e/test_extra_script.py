"""``--extra-script``: programs of the host change the image from outside, and nothing else."""

import json
import os
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.restricted import restricted_build
from tests.support.steps import Steps
from tests.support.tarball import directory, file, tarball
from tests.support.users import Account
from tests.support.workplace import (
    Workplace,
    config_of,
    content_of,
    layers_of,
    top_layer,
)

pytestmark = pytest.mark.userns

_MAKING = """\
mkdir -p opt/made
echo text > opt/made/file
chmod 750 opt/made/file
ln -s file opt/made/link
echo more >> etc/owned
rm etc/gone
mv etc/old etc/new
pwd > place
umask > mask
"""


def extra(place: Workplace, script: str, *args: str | Path, output: str = "out.tar") -> Path:
    """Run ``script`` with the programs of this machine, which must work; return the image."""
    place.write("extra.sh", script)
    done = place.run("--extra-script", "extra.sh", "-o", output, *place.options, *args)
    assert done.returncode == 0, done.stderr.decode()
    return place.path / output


def failed(place: Workplace, script: str, *args: str | Path) -> tuple[int, str]:
    """Return the status and the last line of a run that leaves nothing."""
    place.write("extra.sh", script)
    done = place.run("--extra-script", "extra.sh", "-o", "out.tar", *place.options, *args)
    assert not (place.path / "out.tar").exists()
    return done.returncode, done.stderr.decode().splitlines()[-1]


def base_of(place: Workplace) -> Path:
    """Return a base without any program, whose environment would spoil those of the host."""
    layer = tarball(
        directory("etc"),
        file("etc/owned", b"owned\n", uid=1000, gid=1000, mode=0o600),
        file("etc/gone"),
        file("etc/old", b"o"),
        directory("home", uid=1000, gid=1000, mode=0o500),
    )
    return place.base("base.tar", layer, config={"Env": ["LD_PRELOAD=./x.so", "PATH=/none"]})


def test_all_callers_make_the_same_layer(
    root_workplace: Workplace, workplace: Workplace, lone_workplace: Workplace
) -> None:
    for owner in ("root", "keep", "7:8"):
        made = set()
        for place in (root_workplace, workplace, lone_workplace):
            script = f"{_MAKING}\ntouch home/made\nchmod 400 etc/owned\n"
            options = ("--from", base_of(place), "--owner", owner)
            image = extra(place, script, *options)
            assert_image_valid(image)
            copied = extra(place, script, *options, "--rootfs", "copy", output="copied.tar")
            made |= {image.read_bytes(), copied.read_bytes()}
        assert len(made) == 1, owner


def test_what_it_makes_in_the_image_is_the_layer(any_workplace: Workplace) -> None:
    image = extra(any_workplace, _MAKING, "--from", base_of(any_workplace))
    layer = top_layer(image)
    assert [*layer] == [
        *("etc/", "etc/.wh.gone", "etc/.wh.old", "etc/new", "etc/owned"),
        *("mask", "opt/", "opt/made/", "opt/made/file", "opt/made/link", "place"),
    ]
    assert {(entry.uid, entry.gid, entry.mtime) for entry in layer.values()} == {(0, 0, 1)}
    assert layer["opt/made/file"].mode == 0o750
    assert content_of(image, "etc/owned") == b"owned\nmore\n"
    assert content_of(image, "place") == b"/dev/.rootrun/tree\n"
    assert content_of(image, "mask") == b"0022\n"
    history = config_of(image)["history"]
    assert isinstance(history, list)
    assert history[-1]["created_by"] == "rootrun --extra-script extra.sh"


def test_ac9_text_with_quotes_and_parentheses_is_left_alone(any_workplace: Workplace) -> None:
    any_workplace.write("run.sh", "echo '(run \"as\" $root)' > runAsRoot; cat extraCommands\n")
    options = ("--from", any_workplace.base(), "--script", "run.sh")
    image = extra(any_workplace, "echo '(extra `command`) $(x)' > extraCommands\n", *options)
    assert content_of(image, "extraCommands") == b"(extra `command`) $(x)\n"
    assert content_of(image, "runAsRoot") == b'(run "as" $root)\n'
    assert len(layers_of(image)) == 2


def test_it_runs_after_what_is_brought_in_and_before_the_scripts(workplace: Workplace) -> None:
    workplace.write("plain", "plain")
    workplace.write("one.sh", "cat /plain > /one; rm /plain\n")
    workplace.write("two.sh", "cat /one > /two\n")
    workplace.write(
        "second.sh", "#!/usr/bin/perl\nopen my $f, '>>', 'plain'; print $f ' second';\n"
    )
    scripts = ("--script", "one.sh", "--script", "two.sh", "--extra-script", "second.sh")
    brought = ("--copy", "plain", "--with", "tmp", "--from", workplace.base())
    image = extra(workplace, "test -d tmp; printf ' first' >> plain\n", *brought, *scripts)
    assert content_of(image, "two") == b"plain first second"
    assert [*top_layer(image)] == ["two"]


def test_a_nix_build_makes_the_same_layer(lone_workplace: Workplace) -> None:
    base = lone_workplace.base()
    options = ("--extra-script", "extra.sh", "--owner", "keep")
    lone_workplace.write(
        "extra.sh", "mkdir -p opt; cp /bin/true opt; chmod 500 opt; rm etc/group\n"
    )
    plain = lone_workplace.build("chown 5 /opt/true\n", *options, base=base)
    build, _ = restricted_build(lone_workplace, "chown 5 /opt/true\n", *options, base=base)
    assert layers_of(build) == layers_of(plain)
    assert top_layer(plain)["opt/true"].uid == 5


def test_a_root_of_nothing_can_be_filled(any_workplace: Workplace) -> None:
    image = extra(any_workplace, "mkdir bin; cp /bin/true bin; ls -A > list\n")
    assert [*top_layer(image)] == ["bin/", "bin/true", "list"]
    assert content_of(image, "bin/true") == Path("/bin/true").read_bytes()


def test_the_image_may_be_for_any_machine(workplace: Workplace) -> None:
    base = workplace.base("arm.tar", image={"architecture": "arm64"})
    assert config_of(extra(workplace, "touch x", "--from", base))["architecture"] == "arm64"


def test_the_environment_is_the_caller_s_path_and_nothing_of_the_image(
    workplace: Workplace,
) -> None:
    workplace.write("extra.sh", "env | sort > env\n")
    run = ("--from", base_of(workplace), "--extra-script", "extra.sh", "-o", "out.tar")
    env = {"PATH": "relative::/usr/bin:/bin", "SECRET": "s", "SOURCE_DATE_EPOCH": "9"}
    done = workplace.run(*run, "--env", "GIVEN=1", env=env)
    assert done.returncode == 0, done.stderr.decode()
    assert content_of(workplace.path / "out.tar", "env").decode().split("\n") == [
        *("GIVEN=1", "HOME=/dev/shm", "LANG=C", "LOGNAME=root", "PATH=/usr/bin:/bin"),
        *("PWD=/dev/.rootrun/tree", "SOURCE_DATE_EPOCH=9", "TMPDIR=/dev/shm", "USER=root"),
        *("container=rootrun", ""),
    ]


def test_the_network_is_the_host_s_only_where_that_is_asked_for(workplace: Workplace) -> None:
    def interfaces(*args: str) -> set[str]:
        image = extra(workplace, "ls /sys/class/net > net; cat /etc/resolv.conf > servers", *args)
        servers = content_of(image, "servers")
        assert not args or servers == Path("/etc/resolv.conf").read_bytes()
        return {*content_of(image, "net").decode().split()}

    assert interfaces() == {"lo"}
    assert interfaces("--network", "host") == {*os.listdir("/sys/class/net")}


def test_its_status_is_that_of_the_run(any_workplace: Workplace) -> None:
    error = "rootrun: error: run script: extra.sh: "
    assert failed(any_workplace, "exit 7") == (7, f"{error}ended with status 7")
    assert failed(any_workplace, "false; touch x") == (1, f"{error}ended with status 1")
    assert failed(any_workplace, "kill -9 $$") == (137, f"{error}killed by signal 9")
    status, line = failed(any_workplace, "#!/no/shell\n")
    assert (status, "run extra.sh: /no/shell: not found on this machine" in line) == (127, False)
    assert line.startswith("rootrun: hint: ")


def test_time_and_room_are_limited_for_all_scripts_together(workplace: Workplace) -> None:
    status, line = failed(workplace, "sleep 60 & wait", "--timeout", "1")
    assert (status, "longer than the timeout of 1 s" in line) == (124, True)
    workplace.write("long.sh", "sleep 3; sleep 2; echo through\n")
    base = ("--from", workplace.base(), "--script", "long.sh")
    assert failed(workplace, "sleep 3", *base, "--timeout", "4")[0] == 124
    status, line = failed(workplace, "head -c 3000000 /dev/zero > big", "--disk", "1M")
    assert (status, "--disk" in line) == (125, True)
    status, line = failed(workplace, "head -c 99000000 /dev/zero | tail", "--memory", "32M")
    assert (status, "--memory" in line or "memory" in line) == (125, True)


def test_each_run_makes_it_anew(workplace: Workplace) -> None:
    steps = Steps(workplace)
    workplace.write("extra.sh", "echo made > $TMPDIR/x; cp $TMPDIR/x made\n")
    options = ("--extra-script", "extra.sh")
    assert steps.taken(*options) == [False, False]
    made = steps.image.read_bytes()
    two = {"one.sh": "true\n", "two.sh": "rm /bin/yes\n"}
    assert steps.taken(*options, scripts=two) == [False, False]
    assert steps.taken(*options, scripts=two) == [False, True]
    assert steps.image.read_bytes() != made
    first = steps.reason(*options, scripts=two)[0]
    assert first == (
        "extra.sh, one.sh: not used: with --extra-script programs of this machine run,"
        " which are no input that is known"
    )


def test_check_runs_it_twice(any_workplace: Workplace) -> None:
    stable = extra(any_workplace, _MAKING, "--from", base_of(any_workplace), "--check")
    assert "opt/made/file" in top_layer(stable)
    stable.unlink()
    status, _ = failed(any_workplace, "cat /proc/sys/kernel/random/uuid > drawn", "--check")
    assert status == 125


def test_what_was_used_is_told_of_both(workplace: Workplace) -> None:
    workplace.write("extra.sh", "true; /bin/true; /bin/true\n")
    workplace.write("one.sh", "/bin/true\n")
    run = ("--from", workplace.base(), "--script", "one.sh", "--json", "-o", "out.tar")
    counts = [
        json.loads(workplace.run(*run, *more).stdout)["usage"]["processes"]
        for more in ((), ("--extra-script", "extra.sh"))
    ]
    assert counts[1] >= counts[0] + 3


def test_nothing_is_left_in_the_scratch_directory(workplace: Workplace, tester: Account) -> None:
    scratch = workplace.path / "scratch"
    scratch.mkdir()
    tester.own(scratch)
    extra(workplace, "mkdir -p a/b; chmod 0 a\n", "--tmpdir", scratch).unlink()
    assert failed(workplace, "mkdir -p a/b; chmod 0 a; exit 3\n", "--tmpdir", scratch)[0] == 3
    assert os.listdir(scratch) == []
