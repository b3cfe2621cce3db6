"""What the script can and cannot reach, and what is left when it ends, however it ends."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.program import clean_environment, installation
from tests.support.workplace import Workplace, content_of, top_layer

pytestmark = pytest.mark.userns

DEVICES = """
null zero full random urandom tty ptmx pts shm fd stdin stdout stderr console
"""
STOP_LIMIT_S = 20


def said(
    workplace: Workplace, script: str, *args: str | Path, env: dict[str, str] | None = None
) -> str:
    """Return what a script writes to /said."""
    return content_of(workplace.build(script, *args, env=env), "said").decode()


@contextmanager
def running(workplace: Workplace, script: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run and wait until its script says ``ready``; kill it at the end."""
    workplace.base()
    workplace.write("setup.sh", script)
    scratch = workplace.path / "scratch"
    scratch.mkdir(exist_ok=True)
    workplace.own(scratch)
    account = workplace.account
    process = subprocess.Popen(
        [
            *(installation() / "bin" / "rootrun", "--from", "base.tar", "--script", "setup.sh"),
            *("-o", "out.tar", "--tmpdir", scratch),
        ],
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        env=clean_environment(account),
        cwd=workplace.path,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        while b"ready" not in (line := process.stderr.readline()):
            assert line, "the run ended before its script was ready"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def members_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return all processes of a run."""
    return psutil.Process(process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    """Fail unless all of these end by themselves."""
    _, alive = psutil.wait_procs(processes, timeout=STOP_LIMIT_S)
    assert alive == []


def test_ac41_stdin_is_empty_and_there_is_no_terminal(any_workplace: Workplace) -> None:
    script = """\
cat | wc -c > /said; readlink /proc/self/fd/0 >> /said
(: < /dev/tty) 2>/dev/null || echo none >> /said
"""
    assert said(any_workplace, script) == "0\n/dev/null\nnone\n"


@pytest.mark.parametrize("status", [1, 7, 125, 126, 127, 255])
def test_ac49_the_script_s_status_is_rootrun_s_and_nothing_is_left(
    status: int, any_workplace: Workplace
) -> None:
    any_workplace.base()
    script = f"mkdir -p /a/b; chmod 000 /a/b /a; mkdir -m 555 /c; exit {status}\n"
    any_workplace.write("setup.sh", script)
    scratch = any_workplace.path / "scratch"
    scratch.mkdir()
    any_workplace.own(scratch)
    args = ("--script", "setup.sh", "-o", "out.tar", "--tmpdir", "scratch")
    done = any_workplace.run("--from", "base.tar", *args)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr
    assert not (any_workplace.path / "out.tar").exists()
    assert list(scratch.iterdir()) == []


def test_ac49_a_script_that_a_signal_kills_is_128_and_the_signal(workplace: Workplace) -> None:
    workplace.base()
    done = workplace.run("--from", "base.tar", "-o", "o.tar", "--", "sh", "-c", "kill -TERM $$")
    assert done.returncode == 128 + signal.SIGTERM
    assert not (workplace.path / "o.tar").exists()


def test_ac49_a_timeout_ends_the_script_and_names_the_limit(any_workplace: Workplace) -> None:
    any_workplace.base()
    command = ("--timeout", "1s", "--", "sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    done = any_workplace.run("--from", "base.tar", "-o", "o.tar", *command)
    assert done.returncode == 124
    assert b"timeout" in done.stderr
    assert not (any_workplace.path / "o.tar").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ac49_a_signal_ends_everything(number: signal.Signals, any_workplace: Workplace) -> None:
    script = "sleep 1000 & (setsid sleep 1000 &)\necho ready >&2; wait\n"
    with running(any_workplace, script) as process:
        family = members_of(process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=STOP_LIMIT_S)
        assert process.returncode == 128 + number
        assert b"Traceback" not in errors
        assert_gone(family)
        assert not (any_workplace.path / "out.tar").exists()
        assert list((any_workplace.path / "scratch").iterdir()) == []


def test_a_kill_leaves_no_process_no_mount_and_no_output(any_workplace: Workplace) -> None:
    with running(any_workplace, "sleep 1000 &\necho ready >&2; wait\n") as process:
        family = members_of(process)
        process.kill()
        assert_gone(family)
        assert not (any_workplace.path / "out.tar").exists()
        assert "rootrun" not in Path("/proc/self/mounts").read_text()


def test_what_a_killed_run_left_is_removed_by_a_later_one(any_workplace: Workplace) -> None:
    with running(any_workplace, "echo > /x\necho ready >&2; sleep 1000\n") as process:
        process.kill()
        process.wait()
    scratch = any_workplace.path / "scratch"
    (left,) = scratch.iterdir()
    an_hour_ago = time.time() - 3600
    os.utime(left, (an_hour_ago, an_hour_ago))
    any_workplace.build("echo > /x\n", "--tmpdir", scratch)
    assert list(scratch.iterdir()) == []


def test_daemons_end_with_the_script(any_workplace: Workplace) -> None:
    script = "(setsid sh -c 'trap \"\" TERM HUP; sleep 1000' >/dev/null 2>&1 &)\n(sleep 1000 &)\n"
    any_workplace.build(script)
    # With the caller's pipes open the run itself would have waited for them.
    sleepers = [
        p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "1000"]
    ]
    assert sleepers == []


def test_ac50_the_host_s_processes_are_not_seen(any_workplace: Workplace) -> None:
    pids = said(any_workplace, "ls /proc | grep '^[0-9]' | sort -n > /said\n").split()
    assert pids[0] == "1"
    assert len(pids) < 10


def test_ac50_kill_all_reaches_nothing_outside(any_workplace: Workplace) -> None:
    with running(any_workplace, "echo ready >&2; sleep 1000\n") as bystander:
        output = any_workplace.build("kill -9 -1 || :; echo alive > /said\n", output="o.tar")
        assert content_of(output, "said") == b"alive\n"
        assert bystander.poll() is None


def test_ac50_there_is_no_network_but_a_loopback(any_workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = "ping -c1 127.0.0.1 && ls /sys/class/net > /said; cat /proc/net/tcp >> /said\n"
        found = said(any_workplace, script)
    assert found.splitlines()[0] == "lo"
    assert f"{port:04X}" not in found


def test_ac50_dev_has_what_programs_expect(any_workplace: Workplace) -> None:
    checks = "".join(f"test -e /dev/{name} || echo {name}\n" for name in DEVICES.split())
    script = f"({checks}) > /said\necho x > /dev/null; head -c4 /dev/zero | wc -c >> /said\n"
    assert said(any_workplace, script) == "4\n"


def test_ac50_kernel_knobs_are_not_writable(any_workplace: Workplace) -> None:
    script = """\
for knob in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /sys/kernel/uevent_helper \
    /proc/sys/kernel/hostname /sys/power/state; do
  if [ -e $knob ] && (echo x > $knob) 2>/dev/null; then echo $knob; fi
done > /said
umount /proc/sys 2>/dev/null && echo umounted >> /said || :
mount -o remount,rw /sys 2>/dev/null && echo remounted >> /said || :
"""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    found = said(any_workplace, script)
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern
    writable = {"/proc/sys/kernel/hostname"}  # its own
    assert set(found.split()) - writable - {"umounted", "remounted"} == set()


def test_the_environment_is_clean_and_documented(any_workplace: Workplace) -> None:
    found = said(any_workplace, "env | sort > /said\n", env={"SECRET": "x", "LD_PRELOAD": ""})
    names = [line.partition("=")[0] for line in found.splitlines()]
    expected = ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "SOURCE_DATE_EPOCH", "TMPDIR", "USER"]
    assert [name for name in names if name != "SHLVL"] == [*expected, "container"]


def test_no_secret_of_the_caller_is_in_any_environ(any_workplace: Workplace) -> None:
    script = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c SECRET > /said || :\n"
    assert said(any_workplace, script, env={"SECRET_TOKEN": "x"}) == "0\n"


def test_no_descriptor_is_inherited(any_workplace: Workplace) -> None:
    # The listing's own descriptor is the fourth.
    assert said(any_workplace, "ls /proc/self/fd > /tmp/l; cat /tmp/l > /said\n") == "0\n1\n2\n3\n"


def test_the_hostname_and_working_directory_are_fixed(any_workplace: Workplace) -> None:
    host = socket.gethostname()
    assert said(any_workplace, "(hostname; pwd; umask) > /said\n") == "rootrun\n/\n0022\n"
    assert socket.gethostname() == host


def test_a_bind_is_seen_and_never_packed(any_workplace: Workplace) -> None:
    (any_workplace.path / "shared").mkdir()
    any_workplace.own(any_workplace.path / "shared")
    any_workplace.write("shared/in", "in")
    binds = ("--bind", "shared:/mnt/shared", "--bind", "shared:/ro:ro")
    script = """\
cat /mnt/shared/in > /said; echo > /mnt/shared/out
(echo > /ro/no) 2>/dev/null || echo ro >> /said
"""
    output = any_workplace.build(script, *binds)
    assert list(top_layer(output)) == ["said"]
    assert content_of(output, "said") == b"inro\n"
    assert (any_workplace.path / "shared" / "out").exists()


def test_ac34_a_store_that_is_only_bound_leaves_no_entry(any_workplace: Workplace) -> None:
    (any_workplace.path / "store").mkdir()
    any_workplace.write("store/tool", "#!/bin/sh\necho tool > /said\n", mode=0o755)
    output = any_workplace.build("/nix/store/tool\n", "--bind", "store:/nix/store:ro")
    assert list(top_layer(output)) == ["said"]


def test_a_tmpfs_is_empty_writable_and_never_packed(any_workplace: Workplace) -> None:
    script = "ls -A /etc | wc -l > /said; echo > /etc/x\n"
    output = any_workplace.build(script, "--tmpfs", "/etc")
    assert list(top_layer(output)) == ["said"]
    assert content_of(output, "said") == b"0\n"


def test_user_and_working_directory_hold_for_script_and_image(workplace: Workplace) -> None:
    workplace.base()
    args = (
        "--user",
        "app",
        "--workdir",
        "/tmp",
        "-o",
        "o.tar",
        "--",
        "sh",
        "-c",
        "id > said; pwd >> said",
    )
    done = workplace.run("--from", "base.tar", *args)
    assert done.returncode == 0, done.stderr.decode()
    text = content_of(workplace.path / "o.tar", "tmp/said")
    assert text == b"uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)\n/tmp\n"


def test_the_host_s_network_and_names_can_be_used_and_stay_out(any_workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = "cat /proc/net/tcp > /said; cat /etc/resolv.conf /etc/hosts > /tmp/names\n"
        output = any_workplace.build(script, "--network", "host")
    assert f":{port:04X}" in content_of(output, "said").decode()
    assert list(top_layer(output)) == ["said", "tmp/", "tmp/names"]
    expected = Path("/etc/resolv.conf").read_bytes() + Path("/etc/hosts").read_bytes()
    assert content_of(output, "tmp/names") == expected


def test_several_scripts_run_in_order_and_leftovers_end_between_them(
    any_workplace: Workplace,
) -> None:
    any_workplace.base()
    any_workplace.write("1.sh", "echo one > /said; (sleep 1000 >/dev/null 2>&1 &)\n")
    any_workplace.write("2.sh", "ps | grep -c 'sleep 100[0]' >> /said || :\n")
    scripts = ("--script", "1.sh", "--script", "2.sh")
    done = any_workplace.run("--from", "base.tar", *scripts, "-o", "o.tar")
    assert done.returncode == 0, done.stderr.decode()
    assert content_of(any_workplace.path / "o.tar", "said") == b"one\n0\n"
