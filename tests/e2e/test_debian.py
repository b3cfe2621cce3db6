"""A real Debian base: packages with users and services, setuid programs, real account tools."""

import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.debian import apt_options, debian_rootfs
from tests.support.images import assert_image_valid, docker_archive
from tests.support.peers import run_in_rootfs, unpacked_by_umoci
from tests.support.public import make_public_directory
from tests.support.require import require
from tests.support.users import Account
from tests.support.workplace import Workplace, content_of, top_layer

pytestmark = [pytest.mark.userns, pytest.mark.peers, pytest.mark.slow]

INSTALL = """\
#!/bin/sh -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends cron dbus openssh-server
apt-get clean
rm -rf /var/lib/apt/lists/*
"""
SETUID = "cp /usr/bin/id /usr/bin/suid-id; chmod 4755 /usr/bin/suid-id\n"
USE_SETUID = "su nobody -s /bin/sh -c /usr/bin/suid-id > /said\n"
ACCOUNTS = """\
groupadd --system web
useradd --system --gid web --home-dir /var/web --create-home --shell /usr/sbin/nologin web
id web > /said
"""

# setxattr(2) by its number: a minimal Debian has perl, and no setcap or setfattr.
SET_XATTR = {"x86_64": 188, "aarch64": 5}
XATTRS = """\
cp /usr/bin/id /usr/bin/cap-id
touch /etc/note /etc/same
perl -e 'sub set {{ my ($f, $n, $v) = @_;
        syscall({number}, $f, $n, $v, length $v, 0) == 0 or die "$f: $!" }}
    set("/usr/bin/cap-id", "security.capability", pack("V5", 0x02000001, 1 << 13, 0, 0, 0));
    set("/etc/passwd", "user.note", "text"); set("/etc/note", "user.note", "text");'
"""


@pytest.fixture(scope="session")
def debian(_accounts_can_be_made: None) -> Iterator[Path]:
    """A Debian base that every account can read."""
    directory = make_public_directory("debian")
    try:
        yield docker_archive(
            directory / "debian.tar",
            [debian_rootfs().read_bytes()],
            config={"Cmd": ["/bin/bash"]},
            names=("debian:base",),
        )
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def installed(debian: Path, tester: Account) -> Path:
    """The base after an installation by a user with subordinate ids, owners kept."""
    place = Workplace(path=tester.new_directory(), account=tester)
    output = place.build(INSTALL, *apt_options(), "--owner", "keep", base=debian)
    assert_image_valid(output)
    return output


def test_packages_with_users_and_services_are_installed_and_run(
    installed: Path, public_path: Path
) -> None:
    with unpacked_by_umoci(installed, public_path) as rootfs:
        status = run_in_rootfs(rootfs, "dpkg", "-s", "cron", "dbus", "openssh-server")
        assert status.count(b"\nStatus: install ok installed\n") == 3
        version = run_in_rootfs(rootfs, "sh", "-c", "sshd -V 2>&1 || :")
        assert b"OpenSSH" in version
        assert b"messagebus" in run_in_rootfs(rootfs, "id", "messagebus")
        assert run_in_rootfs(rootfs, "dpkg", "--audit") == b""
        owner = run_in_rootfs(rootfs, "stat", "-c", "%U:%G %a", "/usr/bin/crontab")
        assert owner == b"root:crontab 2755\n"


def test_owners_and_setgid_bits_of_packages_are_in_the_layer(installed: Path) -> None:
    layer = top_layer(installed)
    shadow, crontab = layer["etc/shadow"], layer["usr/bin/crontab"]
    assert (shadow.uid, shadow.gid, shadow.mode) == (0, 42, 0o640)
    lines = content_of(installed, "etc/group").decode().splitlines()
    groups = {line.split(":")[0]: int(line.split(":")[2]) for line in lines}
    assert (crontab.uid, crontab.gid, crontab.mode) == (0, groups["crontab"], 0o2755)


def test_nothing_of_the_hosts_network_and_apt_is_in_the_layer(installed: Path) -> None:
    names = set(top_layer(installed))
    assert not names & {"etc/resolv.conf", "etc/hosts", "etc/apt/"}
    assert not [n for n in names if n.startswith(("usr/share/keyrings", "dev/", "proc/", "sys/"))]


@pytest.mark.parametrize("caller", ["root", "subids"])
def test_setuid_programs_of_the_base_give_their_rights(
    caller: str, debian: Path, root_workplace: Workplace, workplace: Workplace
) -> None:
    place = root_workplace if caller == "root" else workplace
    first = place.build(SETUID, base=debian, output="first.tar")
    assert top_layer(first)["usr/bin/suid-id"].mode == 0o4755
    second = place.build(USE_SETUID, base=first, output="second.tar")
    assert b" euid=0(root) " in content_of(second, "said")


@pytest.mark.parametrize("caller", ["root", "subids"])
def test_ac7_real_account_tools_add_users_and_groups(
    caller: str, debian: Path, root_workplace: Workplace, workplace: Workplace
) -> None:
    place = root_workplace if caller == "root" else workplace
    output = place.build(ACCOUNTS, "--owner", "keep", base=debian)
    layer = top_layer(output)
    assert b"(web)" in content_of(output, "said")
    assert b"\nweb:!:" in content_of(output, "etc/shadow")
    assert (layer["etc/shadow"].gid, layer["etc/shadow"].mode) == (42, 0o640)
    web = next(
        line.split(b":")
        for line in content_of(output, "etc/passwd").splitlines()
        if line.startswith(b"web:")
    )
    assert (layer["var/web/"].uid, layer["var/web/"].gid) == (int(web[2]), int(web[3]))


def test_a_debian_base_gives_the_same_bytes_to_each_caller(
    debian: Path, root_workplace: Workplace, workplace: Workplace, lone_workplace: Workplace
) -> None:
    script = (
        "rm -r /usr/share/doc /etc/init.d; echo x >> /etc/hosts.allow; ls -lR /usr > /dev/null\n"
    )
    outputs = {
        place.build(script, base=debian, output="o.tar").read_bytes()
        for place in (root_workplace, workplace, lone_workplace)
    }
    assert len(outputs) == 1


def test_ac52_capabilities_and_user_xattrs_are_in_the_layer(
    debian: Path, root_workplace: Workplace, workplace: Workplace, lone_workplace: Workplace
) -> None:
    machine = os.uname().machine
    require(machine in SET_XATTR, f"the number of setxattr(2) on {machine} is not known here")
    outputs = [
        place.build(XATTRS.format(number=SET_XATTR[machine]), base=debian)
        for place in (root_workplace, workplace, lone_workplace)
    ]
    layer = top_layer(outputs[0])
    headers = {name: member.pax_headers for name, member in layer.items() if member.pax_headers}
    capability = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0).decode("latin-1")
    assert headers == {
        "etc/note": {"SCHILY.xattr.user.note": "text"},
        "etc/passwd": {"SCHILY.xattr.user.note": "text"},
        "usr/bin/cap-id": {"SCHILY.xattr.security.capability": capability},
    }
    assert len({output.read_bytes() for output in outputs}) == 1
