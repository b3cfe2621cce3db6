"""--user: names and numbers of the container."""

import shutil
from pathlib import Path

import pytest

from tests.sandbox.conftest import Run

pytestmark = pytest.mark.userns


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("daemon", "1 2 2 8 50"),
        ("daemon:mail", "1 8 8"),
        ("daemon:33", "1 33 33"),
        ("1", "1 2 2 8 50"),
        ("1234", "1234 0 0"),
        ("1234:staff", "1234 50 50"),
        ("0", "0 0 0"),
    ],
)
def test_user_is_resolved_by_the_files_of_the_image(user: str, ids: str, run: Run) -> None:
    ran = run("echo $(id -u) $(id -g) $(id -G)", user=user)
    assert sorted(ran.output.split()) == sorted(ids.split())
    assert ran.output.split()[:2] == ids.split()[:2]


def test_user_that_is_not_root_has_no_capabilities(run: Run) -> None:
    ran = run("grep CapEff /proc/self/status; chown 0 /tmp && exit 1; exit 0", user="daemon")
    assert ran.output.split()[:2] == ["CapEff:", "0" * 16]
    assert ran.status == 0


def test_groups_of_the_caller_are_gone(run: Run) -> None:
    assert run("id -G").output == "0\n"


@pytest.mark.parametrize(("mode", "works"), [(0o755, False), (0o4755, True)])
def test_setuid_programs_work(mode: int, works: bool, run: Run, busybox_root: Path) -> None:
    # A raw socket takes root's rights over the network namespace.
    shutil.copy(busybox_root / "bin" / "busybox", busybox_root / "mnt" / "ping")
    (busybox_root / "mnt" / "ping").chmod(mode)
    ran = run("/mnt/ping -q -c 1 -W 5 127.0.0.1", user="daemon")
    assert (ran.status == 0) is works


@pytest.mark.parametrize(
    ("user", "message"),
    [
        ("nobody-like-it", "user nobody-like-it: not in the image's /etc/passwd"),
        ("daemon:nogroup", "group nogroup: not in the image's /etc/group"),
    ],
)
def test_unknown_name_is_an_error_with_a_way_out(user: str, message: str, run: Run) -> None:
    ran = run("true", user=user)
    assert ran.error == f"RootrunError: run as {user}: {message}"
    assert ran.answer["exit"] == 125
    assert "numbers" in str(ran.answer["hint"])


def test_numbers_need_no_passwd_file(run: Run, busybox_root: Path) -> None:
    (busybox_root / "etc" / "passwd").unlink()
    (busybox_root / "etc" / "group").unlink()
    assert run("echo $(id -u):$(id -g)", user="5:6").output == "5:6\n"


@pytest.mark.parametrize("target", ["/proc/self/environ", "/proc/1/environ", "/dev/zero"])
def test_passwd_that_leads_elsewhere_is_not_read(target: str, run: Run, busybox_root: Path) -> None:
    (busybox_root / "etc" / "passwd").unlink()
    (busybox_root / "etc" / "passwd").symlink_to(target)
    ran = run("true", user="daemon")
    assert ran.error == "SandboxError: read /etc/passwd: passwd: is a symlink in the image"


def test_id_that_the_map_lacks_is_an_error_with_a_way_out(run: Run) -> None:
    ran = run("true", user="daemon", id_map="single")
    assert ran.error == "RootrunError: run as 1:2: Invalid argument"
    assert "doctor" in str(ran.answer["hint"])
