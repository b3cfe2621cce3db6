"""``rootrun export -o dir:PATH``: the merged root as a directory, as the caller can have it."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_roots import listing
from tests.support.peers import unpacked_by_umoci
from tests.support.tarball import (
    Member,
    device,
    directory,
    fifo,
    file,
    hardlink,
    symlink,
    tarball,
    whiteout,
)
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns

_CAPABILITY = b"\1\0\0\2\0\4\0\0" + bytes(12)  # cap_net_bind_service=ep, revision 2
_ODD: tuple[Member, ...] = (
    directory("odd", mode=0o2770, uid=0, gid=7),
    file("odd/given", b"given", uid=1000, gid=1001, mode=0o640),
    symlink("odd/link", "/etc/passwd"),
    file("odd/setuid", b"s", mode=0o4755),
    file("odd/setgid", b"s", mode=0o2755),
    file("odd/able", b"a", mode=0o755, xattrs={"security.capability": _CAPABILITY}),
    file("odd/noted", b"n", mode=0o444, xattrs={"user.note": b"kept"}),
    file("odd/name\nwith\\all \xff", b"x"),
    fifo("odd/pipe"),
    file("odd/one", b"linked"),
    hardlink("odd/two", "odd/one"),
    directory("closed", mode=0),
    file("closed/inside", b"i", mode=0),
    directory("closed/below", mode=0o500),
    file("gone", b"g"),
)
_LINE = re.compile(r"rootrun: warning: export: (.*)")


def exported(place: Workplace, base: Path, *args: str, to: str = "root") -> tuple[Path, list[str]]:
    """Export ``base`` to a directory, which must work; return it, and what was told as lost."""
    done = place.run("export", base, "-o", f"dir:{to}", *place.options, *args)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    return place.path / to, _LINE.findall(done.stderr.decode())


def test_all_callers_have_the_tree(any_workplace: Workplace) -> None:
    base = any_workplace.base("base.tar", busybox_layer(*_ODD), tarball(whiteout("gone")))
    root, lost = exported(any_workplace, base)
    found = listing(root)
    assert found["odd/given"][3] == b"given"
    assert found["odd/link"][3] == b"/etc/passwd"
    assert found["odd/name\nwith\\all \xff"][3] == b"x"
    assert found["odd/two"][3] == b"linked"
    assert stat.S_ISFIFO(found["odd/pipe"][0])
    assert "gone" not in found
    modes = {name: stat.S_IMODE(found[name][0]) for name in ("closed", "closed/inside", "odd")}
    assert modes == {"closed": 0, "closed/inside": 0, "odd": 0o2770}
    assert stat.S_IMODE(found["closed/below"][0]) == 0o500
    assert os.getxattr(root / "odd/noted", "user.note") == b"kept"
    assert {path.lstat().st_mtime for path in (root, *root.rglob("*"))} == {1}
    is_root = any_workplace.account is None
    assert stat.S_IMODE(found["odd/setuid"][0]) == (0o4755 if is_root else 0o755)
    assert stat.S_IMODE(found["odd/setgid"][0]) == (0o2755 if is_root else 0o755)
    if is_root:
        assert found["odd/given"][1:3] == (1000, 1001)
        assert found["odd"][1:3] == (0, 7)
        assert os.getxattr(root / "odd/able", "security.capability") == _CAPABILITY
        assert lost == []
        return
    assert any_workplace.account is not None
    own = any_workplace.account
    assert {owner[1:3] for owner in found.values()} == {(own.uid, own.gid)}
    assert "security.capability" not in os.listxattr(root / "odd/able")
    assert lost == [
        "2 paths with an owner who cannot be given: given to the caller",
        "2 paths with set-user-ID or set-group-ID: without it",
        "1 path with capabilities: without them",
    ]


@pytest.mark.root
@pytest.mark.peers
def test_ac30_it_is_what_umoci_unpacks(root_workplace: Workplace, public_path: Path) -> None:
    base = root_workplace.base("base.tar", busybox_layer(*_ODD), tarball(whiteout("gone")))
    root, _ = exported(root_workplace, base)
    with unpacked_by_umoci(base, public_path) as rootfs:
        assert listing(root) == listing(rootfs)
        assert root.stat().st_mode == rootfs.stat().st_mode


@pytest.mark.peers
def test_ac51_two_hundred_layers_make_one_tree(
    lone_workplace: Workplace, public_path: Path
) -> None:
    layers = [tarball(directory(f"d{n}"), file(f"d{n}/f", b"%d" % n)) for n in range(200)]
    base = lone_workplace.base("base.tar", *layers, tarball(whiteout("d7")))
    root, lost = exported(lone_workplace, base)
    assert lost == []
    contents = {name: found[3] for name, found in listing(root).items()}
    with unpacked_by_umoci(base, public_path) as rootfs:
        assert contents == {name: found[3] for name, found in listing(rootfs).items()}


def test_devices_are_left_out_and_counted(any_workplace: Workplace) -> None:
    devices = tarball(device("null", 1, 3), directory("d"), device("d/loop", 7, 0), file("plain"))
    root, lost = exported(any_workplace, any_workplace.base("base.tar", devices))
    assert sorted(listing(root)) == ["d", "plain"]
    assert lost == ["2 paths that are devices: left out"]


def test_the_caller_can_remove_it(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(*_ODD))
    exported(workplace, base)
    assert workplace.shell("chmod -R u+rwx root && rm -r root").returncode == 0
    assert not (workplace.path / "root").exists()


def test_an_empty_directory_is_filled_and_another_left_alone(workplace: Workplace) -> None:
    base = workplace.base("base.tar", tarball(file("f", b"f")))
    empty = workplace.path / "empty"
    empty.mkdir()
    workplace.own(empty)
    root, _ = exported(workplace, base, to="empty")
    assert sorted(listing(root)) == ["f"]
    before = sorted(os.listdir(workplace.path))
    for taken in ("empty", "base.tar"):
        done = workplace.run("export", base, "-o", f"dir:{taken}")
        error = f"write image: {taken}: exists and is not an empty directory"
        assert (done.returncode, done.stderr.decode()) == (125, f"rootrun: error: {error}\n")
    assert sorted(os.listdir(workplace.path)) == before
    assert (root / "f").read_bytes() == b"f"


def test_what_fails_leaves_nothing(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(*_ODD))
    content = bytearray(base.read_bytes())
    content[content.index(b"given")] ^= 1
    workplace.write("damaged.tar", bytes(content))
    before = sorted(os.listdir(workplace.path))
    for words in (
        ("damaged.tar", "-o", "dir:root", "--no-cache"),
        ("base.tar", "-o", "dir:no/such/place"),
        ("base.tar", "-o", "dir:"),
        ("base.tar", "-o", "dir:root", "--compression", "gzip"),
    ):
        assert workplace.run("export", *words).returncode == 125
        assert sorted(os.listdir(workplace.path)) == before


@pytest.mark.root
def test_a_full_disk_leaves_nothing(root_workplace: Workplace) -> None:
    base = root_workplace.base(
        "base.tar", tarball(directory("d", mode=0), file("d/f", b"1" * 9**7))
    )
    small = root_workplace.path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", small], check=True)
    try:
        done = root_workplace.run("export", base, "-o", "dir:small/root")
        assert done.returncode == 125
        assert b"write image: small/root: No space left on device" in done.stderr
        assert os.listdir(small) == []
    finally:
        subprocess.run(["umount", small], check=True)
