"""What the script can and cannot reach, and what is left when it ends, however it ends."""

import socket
from pathlib import Path

import pytest

from tests.support.workplace import Workplace, busybox_layer, content_of, top_layer

pytestmark = pytest.mark.userns

DEVICES = """
null zero full random urandom tty ptmx pts shm fd stdin stdout stderr console
"""


def said(
    workplace: Workplace, script: str, *args: str | Path, env: dict[str, str] | None = None
) -> str:
    """Return what a script writes to /said."""
    return content_of(workplace.build(script, *args, env=env), "said").decode()


def test_ac41_stdin_is_empty_and_there_is_no_terminal(any_workplace: Workplace) -> None:
    script = """\
cat | wc -c > /said; readlink /proc/self/fd/0 >> /said
(: < /dev/tty) 2>/dev/null || echo none >> /said
"""
    assert said(any_workplace, script) == "0\n/dev/null\nnone\n"


def test_ac50_the_host_s_processes_are_not_seen(any_workplace: Workplace) -> None:
    pids = said(any_workplace, "ls /proc | grep '^[0-9]' | sort -n > /said\n").split()
    assert pids[0] == "1"
    assert len(pids) < 10


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


POLLUTE = """\
set +e
chown 7:7 /bin/busybox; chmod 777 /etc /etc/passwd; echo evil >> /etc/passwd; ln /etc/group /linked
echo evil >> /linked; mv /bin /moved; ln -s /moved /bin; export PATH=/moved; rm -rf /root
busybox truncate -s 0 /etc/group; busybox touch -d @1 /moved/busybox
busybox setfattr -n user.evil -v 1 /tmp; mount -o remount,rw /
for place in / /etc /moved; do mount -o bind,rw $place /tmp && echo evil > /tmp/evil; done
exit 0
"""
TREE = """\
(find / -xdev | grep -v -E '^/(said|tmp.*|proc|dev|sys)$' | sort | while read -r name; do
  stat -c '%n %f %u %g %s %h' "$name"; done
find / -xdev -type f ! -path '/said' | sort | xargs md5sum) > /said
"""


def test_the_next_run_sees_the_pristine_base_whatever_a_script_did(
    any_workplace: Workplace,
) -> None:
    cache = ("--cache-dir", "c")
    any_workplace.base("base.tar", busybox_layer())
    before = said(any_workplace, TREE, *cache)
    polluted = top_layer(any_workplace.build(POLLUTE, *cache))
    assert {"moved/", "linked", "etc/passwd"} <= polluted.keys()
    assert said(any_workplace, TREE, *cache) == before
    assert "/etc/passwd" in before
    verified = any_workplace.run("cache", "verify", *cache)
    assert verified.returncode == 0, verified.stderr.decode()
