"""What is mounted, and that hostile mount points are refused."""

import os
import shutil
from pathlib import Path

import pytest

from rootrun.sandbox.idmap import Extent, IdMap, IdMapKind
from rootrun.sandbox.mounts import mount_plan
from rootrun.sandbox.spec import ContainerSpec
from tests.sandbox.conftest import Run

_ONE = (Extent(container_id=0, host_id=1000, count=1),)
SINGLE = IdMap(kind=IdMapKind.SINGLE, uids=_ONE, gids=_ONE, reason="")


def _described(**fields: bool) -> str:
    spec = ContainerSpec(
        root=Path("/r"),
        steps=(),
        environment={},
        id_map=SINGLE,
        has_host_network=fields.get("has_host_network", False),
    )
    return "\n".join(operation.describe() for operation in mount_plan(spec))


def test_plan_for_a_single_id_asks_for_no_group_of_terminals() -> None:
    assert "gid=5" not in _described()


def test_plan_without_a_network_namespace_asks_for_no_sysfs() -> None:
    assert "mount sysfs" in _described()
    assert "mount sysfs" not in _described(has_host_network=True)


@pytest.mark.userns
def test_dev_has_the_usual_nodes(run_as_caller: Run) -> None:
    ran = run_as_caller("cd /dev; stat -c '%n %F %a' *; stat -c '%n %a' . shm pts/ptmx")
    modes = dict(line.split(" ", 1) for line in ran.output.splitlines())
    for name in ("null", "zero", "full", "random", "urandom", "tty", "console"):
        assert modes[name] == "character special file 666"
    for name in ("fd", "stdin", "stdout", "stderr", "ptmx"):
        assert modes[name].startswith("symbolic link")
    assert (modes["."], modes["pts/ptmx"]) == ("755", "666")
    assert set(modes) >= {"shm", "mqueue", "pts"}


@pytest.mark.userns
@pytest.mark.parametrize(
    "command",
    [
        "echo x > /dev/null",
        "test $(head -c 5 /dev/zero | wc -c) = 5",
        "! echo x > /dev/full",
        "test $(head -c 5 /dev/urandom | wc -c) = 5",
        "echo x > /dev/stderr",
        "echo x | cat /dev/stdin",
        "exec 5<> /dev/ptmx && test -c /dev/pts/0",
        "touch /dev/shm/x && test $(stat -c %a /dev/shm) = 1777",
        "cat /proc/self/mountinfo > /dev/fd/2",
        "echo x > /dev/console",
    ],
)
def test_devices_work(command: str, run_as_caller: Run) -> None:
    assert run_as_caller(command).status == 0


@pytest.mark.userns
@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list"])
def test_masked_file_is_empty(path: str, run_as_caller: Run) -> None:
    assert run_as_caller(f"! test -e {path} || test $(wc -c < {path}) = 0").status == 0


@pytest.mark.userns
@pytest.mark.parametrize("name", ["proc", "dev", "sys"])
@pytest.mark.parametrize("kind", ["symlink", "file", "missing"])
def test_mount_point_that_is_no_directory_is_refused(
    name: str, kind: str, run: Run, busybox_root: Path, tmp_path: Path
) -> None:
    (busybox_root / name).rmdir()
    if kind == "symlink":
        (busybox_root / name).symlink_to("tmp")
    elif kind == "file":
        (busybox_root / name).touch()
    whys = {
        "symlink": f"{name}: is a symlink in the image",
        "file": f"/{name}: is not a directory in the image",
        "missing": f"/{name}: does not exist in the image",
    }
    assert run("true").error == f"SandboxError: mount /{name}: {whys[kind]}"


@pytest.mark.userns
def test_bind_is_writable_and_read_only_bind_is_not(run: Run, tmp_path: Path) -> None:
    for name in ("rw", "ro"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    ran = run(
        "cat /tmp/rw/f /tmp/ro/f; echo new > /tmp/rw/f; echo new > /tmp/ro/f",
        "true",
        binds=[[str(tmp_path / "rw"), "/mnt/directory"]],
    )
    assert ran.status == 1  # there is nothing at /tmp/rw
    binds = [[str(tmp_path / "rw"), "/mnt/directory"], [str(tmp_path / "ro"), "/tmp", "ro"]]
    ran = run(
        "cat /mnt/directory/f /tmp/f; echo n > /mnt/directory/f; echo n > /tmp/f", binds=binds
    )
    assert ran.output.startswith("rwro")
    assert ran.status == 1
    assert (tmp_path / "rw" / "f").read_text() == "n\n"
    assert (tmp_path / "ro" / "f").read_text() == "ro"


@pytest.mark.userns
def test_read_only_bind_covers_the_mounts_in_it(run: Run, tmp_path: Path) -> None:
    ran = run("! touch /mnt/directory/shm/x", binds=[["/dev", "/mnt/directory", "ro"]])
    assert ran.status == 0


@pytest.mark.userns
def test_file_is_bound_on_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("content")
    assert run("cat /mnt/file", binds=[[str(tmp_path / "f"), "/mnt/file"]]).output == "content"


@pytest.mark.userns
@pytest.mark.parametrize(
    ("source", "destination", "message"),
    [
        ("d", "/mnt/file", "/mnt/file: is not a directory in the image"),
        ("f", "/mnt/directory", "/mnt/directory: is not an ordinary file in the image"),
        ("f", "/bin/sh", "sh: is a symlink in the image"),
        ("d", "/etc/passwd/x", "x: its parent is no directory in the image"),
        ("d", "/mnt/../tmp", "..: leaves the rootfs"),
        ("d", "/var/x", "/var/x: does not exist in the image"),
    ],
    ids=["tree on file", "file on tree", "symlink", "below a file", "dots", "missing"],
)
def test_bind_on_something_else_is_refused(
    source: str, destination: str, message: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    ran = run("true", binds=[[str(tmp_path / source), destination]])
    assert ran.error == f"SandboxError: mount {destination}: {message}"


@pytest.mark.userns
def test_missing_source_of_a_bind_is_named(run: Run) -> None:
    assert "/nowhere/at-all" in run("true", binds=[["/nowhere/at-all", "/mnt/file"]]).error


@pytest.mark.userns
def test_device_can_be_bound_below_dev(run: Run) -> None:
    assert run("test -c /dev/mine", binds=[["/dev/null", "/dev/mine"]]).status == 0


@pytest.mark.userns
def test_tmpfs_hides_what_is_there_and_takes_files(run: Run) -> None:
    ran = run("ls /etc; echo x > /etc/f; cat /etc/f; stat -c %a /etc", tmpfs=["/etc"])
    assert ran.output == "x\n1777\n"


@pytest.mark.userns
def test_host_network_is_the_one_of_the_host(run_as_caller: Run, busybox_root: Path) -> None:
    for name in ("hosts", "resolv.conf"):
        (busybox_root / "etc" / name).touch()
    ran = run_as_caller(
        "readlink /proc/self/ns/net; cat /etc/hosts; ! touch /etc/hosts /etc/resolv.conf",
        has_host_network=True,
    )
    assert ran.output.startswith(os.readlink("/proc/self/ns/net"))
    assert Path("/etc/hosts").read_text() in ran.output
    assert ran.status == 0


@pytest.mark.userns
def test_host_network_without_places_for_its_files_works(run: Run, busybox_root: Path) -> None:
    (busybox_root / "etc" / "hosts").symlink_to("passwd")
    assert run("cat /etc/hosts", has_host_network=True).output.startswith("root:")


@pytest.mark.userns
def test_directory_with_odd_names_can_be_the_root(run: Run, busybox_root: Path) -> None:
    odd = busybox_root.with_name("a:b,c\\d\n'\"$ é")
    shutil.move(busybox_root, odd)
    assert run("echo fine", lower=str(odd)).output == "fine\n"
