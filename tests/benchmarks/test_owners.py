"""What the benchmarks count as wrong in the result of a peer."""

import io
import os
import stat
import tarfile
from pathlib import Path

from benchmarks.owners import (
    Entry,
    Wrong,
    compare,
    entries_of_tar,
    entries_of_tree,
    with_layer,
)
from tests.support.tarball import device, directory, file, hardlink, symlink, tarball, whiteout

_FILE = Entry(kind=stat.S_IFREG, mode=0o644, owner=(0, 0))
_DEVICE = Entry(kind=stat.S_IFCHR, mode=0o600, owner=(0, 0), device=(1, 3))


def test_equal_results_have_nothing_wrong() -> None:
    wrong = compare({"f": _FILE, "n": _DEVICE}, {"f": _FILE, "n": _DEVICE, "more": _FILE})
    assert wrong == Wrong()
    assert not wrong


def test_each_kind_of_fault_is_counted_once() -> None:
    expected = {
        "owner": _FILE,
        "mode": _FILE,
        "both": _FILE,
        "gone": _FILE,
        "directory": _FILE,
        "no-device": _DEVICE,
        "other-device": _DEVICE,
        "device-of-others": _DEVICE,
    }
    found = {
        "owner": _FILE._replace(owner=(0, 5)),
        "mode": _FILE._replace(mode=0o4644),
        "both": _FILE._replace(owner=(5, 0), mode=0o600),
        "directory": _FILE._replace(kind=stat.S_IFDIR),
        "no-device": _FILE,
        "other-device": _DEVICE._replace(device=(1, 5)),
        "device-of-others": _DEVICE._replace(owner=(9, 9)),
    }
    assert compare(expected, found) == Wrong(owners=3, modes=2, devices=2, absent=2)


def test_tars_are_read_by_what_is_compared() -> None:
    archive = tarball(
        directory("./d", mode=0o2755, gid=7),
        file("./d/f", b"x", mode=0o4711, uid=5),
        hardlink("./d/hard", "./d/f", mode=0o4711),
        symlink("./link", "d", uid=3),
        device("./n", 1, 3),
        device("./dev/null", 1, 3),
    )
    entries = entries_of_tar(io.BytesIO(archive))
    assert sorted(entries) == ["d", "d/f", "d/hard", "link", "n"]
    assert entries["d"] == Entry(kind=stat.S_IFDIR, mode=0o2755, owner=(0, 7))
    assert entries["d/f"] == Entry(kind=stat.S_IFREG, mode=0o4711, owner=(5, 0))
    assert entries["d/hard"].kind == stat.S_IFREG
    assert entries["link"] == Entry(kind=stat.S_IFLNK, mode=0o777, owner=(3, 0))
    assert entries["n"].is_device
    assert entries["n"].device == (1, 3)


def test_layers_hide_what_they_delete_and_replace() -> None:
    files = [file(name) for name in ("a", "d/x", "d/y", "dd", "e/z", "keep")]
    base = entries_of_tar(io.BytesIO(tarball(directory("e"), *files)))
    layer = entries_of_tar(
        io.BytesIO(tarball(whiteout("a"), whiteout("d/x"), file("e"), file("new", uid=4)))
    )
    tree = with_layer(base, layer)
    assert sorted(tree) == ["d/y", "dd", "e", "keep", "new"]
    assert tree["new"].owner == (4, 0)


def test_trees_show_the_owner_of_the_run_as_root(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o750)
    (tmp_path / "d/f").write_bytes(b"")
    (tmp_path / "d/f").chmod(0o4755)
    (tmp_path / "proc").mkdir()
    os.symlink("nowhere", tmp_path / "l")
    mine = entries_of_tree(tmp_path, uid=os.getuid(), gid=os.getgid())
    assert sorted(mine) == ["d", "d/f", "l"]
    assert mine["d/f"] == Entry(kind=stat.S_IFREG, mode=0o4755, owner=(0, 0))
    others = entries_of_tree(tmp_path, uid=os.getuid() + 1, gid=os.getgid() + 1)
    assert others["d"].owner == (os.getuid(), os.getgid())


def test_a_tree_and_its_tar_are_the_same(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d/f").write_bytes(b"x")
    os.link(tree / "d/f", tree / "d/hard")
    os.mkfifo(tree / "pipe")
    archive = tmp_path / "tree.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tree, arcname=".")
    with archive.open("rb") as reader:
        packed = entries_of_tar(reader)
    uid, gid = os.getuid(), os.getgid()
    on_disk = entries_of_tree(tree, uid=uid, gid=gid)
    assert {name: entry._replace(owner=(0, 0)) for name, entry in packed.items()} == on_disk
