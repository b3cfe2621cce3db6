"""Roots made so that rootrun, or the host, does what it should not: refused, or kept inside."""

import os
import secrets
from pathlib import Path

import pytest

from tests.support.images import assert_image_valid
from tests.support.tarball import Member, directory, fifo, file, symlink, tarball, whiteout
from tests.support.unpacking import state_of
from tests.support.workplace import Workplace, busybox_layer, content_of, top_layer

pytestmark = pytest.mark.userns

UP = "../" * 30


@pytest.fixture
def victim(any_workplace: Workplace) -> Path:
    """A directory of the caller's that nothing may change."""
    path = any_workplace.path / f"victim-{secrets.token_hex(8)}"
    (path / "below").mkdir(parents=True)
    for name in ("file", "resolv.conf", "hosts", "passwd", "below/file"):
        (path / name).write_text("root:x:0:0::/:/bin/sh\nsecret:x:7:7::/:/bin/sh\n")
    for place in (path, *path.rglob("*")):
        any_workplace.own(place)
    return path


def run_with(
    place: Workplace, script: str, *members: Member, args: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Run ``script`` on a busybox with ``members`` over it; return the status and the messages."""
    base = place.base("base.tar", busybox_layer(), tarball(*members))
    place.write("setup.sh", script)
    given = (*place.options, *args)
    done = place.run("--from", base, "--script", "setup.sh", "-o", "o.tar", *given)
    errors = done.stderr.decode()
    assert "Traceback" not in errors
    assert (place.path / "o.tar").exists() == (done.returncode == 0)
    return done.returncode, errors


@pytest.mark.parametrize("name", ["proc", "dev", "sys"])
@pytest.mark.parametrize("kind", ["symlink", "relative symlink", "file", "fifo"])
def test_a_mount_point_that_is_no_directory_is_refused(
    name: str, kind: str, any_workplace: Workplace, victim: Path
) -> None:
    before = state_of(victim)
    member = {
        "symlink": symlink(name, str(victim)),
        "relative symlink": symlink(name, f"{UP}{victim}"),
        "file": file(name, b""),
        "fifo": fifo(name),
    }[kind]
    status, errors = run_with(any_workplace, "echo > /x\n", member)
    assert status == 125
    assert f"mount /{name}: " in errors
    assert state_of(victim) == before


def test_writing_to_devices_that_are_links_in_the_image_writes_to_no_file_of_the_host(
    any_workplace: Workplace, victim: Path
) -> None:
    before = state_of(victim)
    names = ("null", "zero", "stderr", "console", "tty", "shm", "pts", "mqueue", ".rootrun")
    links = [symlink(f"dev/{name}", f"{UP}{victim}/file") for name in names]
    script = "echo x > /dev/null; echo x > /dev/shm/x; echo x > /dev/console; echo > /x\n"
    assert run_with(any_workplace, script, directory("dev"), *links)[0] == 0
    assert state_of(victim) == before
    assert list(top_layer(any_workplace.path / "o.tar")) == ["x"]


@pytest.mark.parametrize("options", [(), ("--network", "host")], ids=["none", "host"])
def test_files_of_etc_that_are_links_lead_to_none_of_the_host(
    options: tuple[str, ...], any_workplace: Workplace, victim: Path
) -> None:
    before = state_of(victim)
    names = ("resolv.conf", "hosts", "hostname", "mtab", "passwd", "group")
    links = [symlink(f"etc/{name}", f"{UP}{victim}/{name}") for name in names]
    gone = [whiteout(f"etc/{name}") for name in ("passwd", "group")]
    script = "cat /etc/passwd /etc/mtab > /x 2>/dev/null || echo none >> /x\n"
    layers = (busybox_layer(), tarball(*gone), tarball(directory("etc"), *links))
    base = any_workplace.base("base.tar", *layers)
    output = any_workplace.build(script, *options, base=base)
    assert content_of(output, "x") == b"none\n"
    assert state_of(victim) == before


@pytest.mark.parametrize("name", ["etc", "tmp", "root", "run", "var"])
def test_directories_that_are_links_lead_to_none_of_the_host(
    name: str, any_workplace: Workplace, victim: Path
) -> None:
    before = state_of(victim)
    any_workplace.write("mine", "mine")
    base = any_workplace.base(
        "base.tar",
        busybox_layer(),
        tarball(whiteout(name)),
        tarball(symlink(name, f"{UP}{victim}")),
    )
    any_workplace.write("setup.sh", f"echo x > /{name}/file; mkdir /{name}/new; echo > /x\n")
    for options in ((), ("--copy", f"mine:/{name}/file"), ("--network", "host")):
        argv = ("--from", base, "--script", "setup.sh", "-o", "o.tar", "--cache-dir", "c")
        done = any_workplace.run(*argv, *any_workplace.options, *options)
        assert b"Traceback" not in done.stderr
        assert state_of(victim) == before


def test_binds_and_tmpfs_below_links_are_mounted_inside_or_refused(
    any_workplace: Workplace, victim: Path
) -> None:
    before = state_of(victim)
    any_workplace.write("mine", "mine")
    for place in ("/link", "/link/below", "/link/below/file", "/link/new"):
        for option in (("--bind", f"mine:{place}"), ("--tmpfs", place)):
            script = f"echo x > {place}; echo x > {place}/y; echo > /x; :\n"
            run_with(any_workplace, script, symlink("link", f"{UP}{victim}"), args=option)
            assert state_of(victim) == before
            (any_workplace.path / "o.tar").unlink(missing_ok=True)


def test_the_user_is_looked_up_in_no_file_of_the_host(
    any_workplace: Workplace, victim: Path
) -> None:
    gone = tarball(whiteout("etc/passwd"))
    link = tarball(directory("etc"), symlink("etc/passwd", f"{UP}{victim}/passwd"))
    base = any_workplace.base("base.tar", busybox_layer(), gone, link)
    command = ("-o", "o.tar", "--user", "secret", "--", "true")
    done = any_workplace.run("--from", base, *any_workplace.options, *command)
    assert done.returncode == 125
    assert b"secret:x" not in done.stderr
    assert b"passwd: is a symlink in the image" in done.stderr


# Of the image, for a program of the host: as a shell it has that program as its /proc/self/exe.
BUSYBOX = Path("/bin/busybox").read_bytes() if Path("/bin/busybox").exists() else b""
LOADER = (directory("lib64"), file("lib64/ld-linux-x86-64.so.2", BUSYBOX, mode=0o755))
INTERPRETERS = {
    "shell": (symlink("bin/sh", "/proc/self/exe"), "echo > /x\n"),
    "shell by thread": (symlink("bin/sh", "/proc/thread-self/exe"), "echo > /x\n"),
    "shell by pid 1": (symlink("bin/sh", "/proc/1/exe"), "echo > /x\n"),
    "shell by root": (symlink("bin/sh", "/proc/self/root/proc/self/exe"), "echo > /x\n"),
    "shell by descriptor": (symlink("bin/sh", "/proc/self/fd/3"), "echo > /x\n"),
    "shebang": (file("y"), "#!/proc/self/exe\nimport os\n"),
    "link of a shebang": (symlink("bin/own", "/proc/self/exe"), "#!/bin/own -c\n"),
    "shebang of a shebang": (file("bin/own", b"#!/proc/self/exe\n", mode=0o755), "#!/bin/own\n"),
}


@pytest.mark.parametrize("case", INTERPRETERS)
def test_the_host_s_interpreter_is_not_executed_by_a_link_of_proc(
    case: str, any_workplace: Workplace
) -> None:
    member, script = INTERPRETERS[case]
    status, errors = run_with(any_workplace, script, *LOADER, directory("bin"), member)
    assert status in {126, 127}
    assert "rootrun: error: run setup.sh: " in errors


def test_a_command_is_not_the_host_s_interpreter(any_workplace: Workplace) -> None:
    base = any_workplace.base("base.tar", busybox_layer(symlink("bin/own", "/proc/self/exe")))
    for name in ("/proc/self/exe", "own", "/bin/own"):
        done = any_workplace.run("--from", base, "-o", "o.tar", "--", name, "-c", "print(1)")
        assert done.returncode == 126
        assert b"is reached by a link of /proc" in done.stderr


def test_a_program_of_the_host_cannot_be_written_by_proc(any_workplace: Workplace) -> None:
    script = """\
set +e
for exe in /proc/[0-9]*/exe /proc/[0-9]*/map_files/*; do
  case $(readlink $exe) in /bin/busybox|/dev/*|/usr/bin/busybox) continue;; esac
  (echo x >> $exe) 2>/dev/null && echo $exe
done > /said
exit 0
"""
    assert content_of(any_workplace.build(script), "said") == b""


def test_a_hostile_configuration_steers_nothing(any_workplace: Workplace) -> None:
    environment = ["PATH=/evil", "LD_PRELOAD=/evil.so", "PYTHONPATH=/evil", "TMPDIR=/evil"]
    config = {
        "WorkingDir": "/proc/self/fd/5",
        "User": "1000:1000",
        "Env": [*environment, "ROOTRUN_CACHE=/evil", "HOME=/proc/1/root", "BASH_ENV=/evil"],
        "Entrypoint": ["/evil"],
        "Cmd": ["/evil"],
        "Shell": ["/evil"],
        "OnBuild": ["RUN /evil"],
        "Healthcheck": {"Test": ["CMD", "/evil"]},
        "StopSignal": "SIGKILL",
        "Volumes": {"/proc": {}, f"/{UP}etc": {}},
    }
    base = any_workplace.base("base.tar", busybox_layer(), config=config)
    script = "PATH=/bin; (pwd; id -u; id -g) > /said\n"
    output = any_workplace.build(script, base=base)
    assert content_of(output, "said") == b"/\n0\n0\n"
    assert not os.path.exists("/evil")
    assert_image_valid(output)


PUT_LINKS = """\
set +e
umount -l /proc /sys /dev 2>/dev/null
for name in proc sys dev etc mnt; do
  mv /$name /old-$name 2>/dev/null; rm -rf /$name 2>/dev/null; rmdir /$name 2>/dev/null
  ln -s {victim} /$name 2>/dev/null
done
echo > /x
exit 0
"""


def test_links_in_place_of_mount_points_are_not_followed_after_the_script(
    any_workplace: Workplace, victim: Path
) -> None:
    before = state_of(victim)
    any_workplace.write("mine", "mine")
    status, errors = run_with(
        any_workplace,
        PUT_LINKS.format(victim=victim),
        directory("mnt"),
        args=("--bind", "mine:/mnt/new/file", "--tmpfs", "/mnt/other"),
    )
    assert status == 0, errors
    assert state_of(victim) == before
    assert_image_valid(any_workplace.path / "o.tar")


def test_links_that_change_while_the_root_is_cleaned_up_are_not_followed(
    any_workplace: Workplace, victim: Path
) -> None:
    before = state_of(victim)
    racing = f"""\
set +e
mkdir /race; (while :; do rm -rf /race/a; ln -s {victim} /race/a; rm /race/a; mkdir -p /race/a/b;
done 2>/dev/null) &
echo > /x; sleep 0.2
"""
    for _ in range(3):
        assert run_with(any_workplace, racing)[0] == 0
        assert state_of(victim) == before
        (any_workplace.path / "o.tar").unlink()
