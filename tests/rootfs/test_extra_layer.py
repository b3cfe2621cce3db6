"""What the cache cannot hold is put right in a tree of the run's own."""

import os
import struct
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from rootrun.errors import LayerError
from rootrun.layer.entry import EntryPath
from rootrun.rootfs.extra_layer import put_right
from tests.support.program import run_python
from tests.support.sparse import format_0
from tests.support.stacks import open_descriptors, stack_of
from tests.support.tarball import (
    Member,
    device,
    directory,
    file,
    hardlink,
    opaque,
    symlink,
    tarball,
    whiteout,
)
from tests.support.users import Account


def paths(tree: Path) -> list[str]:
    """Return all there is in ``tree``."""
    return sorted(os.fspath(path.relative_to(tree)) for path in tree.rglob("*"))


def right(tmp_path: Path, *layers: Iterable[Member]) -> Path:
    """Put an image of ``layers`` right; return the tree."""
    stack = stack_of(tmp_path, *(tarball(*layer) for layer in layers))
    before = open_descriptors()
    extra = put_right(stack, tmp_path / "extra")
    assert open_descriptors() == before
    assert extra.is_empty is not extra.tree.exists()
    return extra.tree


def test_an_image_without_oddities_needs_none(tmp_path: Path) -> None:
    plain = [directory("d"), file("d/f"), symlink("l", "d"), device("n", 1, 3)]
    assert not right(tmp_path, plain, [directory("d", mode=0o700), whiteout("l")]).exists()


@pytest.mark.root
def test_set_id_files_get_their_bits_and_all_else(tmp_path: Path) -> None:
    su = file("bin/su", b"su", mode=0o4755, uid=2, gid=3, mtime=5, xattrs={"user.k": b"v"})
    tree = right(tmp_path, [directory("bin", mode=0o711), su])
    status = (tree / "bin" / "su").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o4755, 2, 3)
    assert status.st_mtime == 5
    assert os.getxattr(tree / "bin" / "su", "user.k") == b"v"
    assert (tree / "bin" / "su").read_bytes() == b"su"
    assert (tree / "bin").stat().st_mode & 0o7777 == 0o711


@pytest.mark.root
def test_capabilities_are_kept(tmp_path: Path) -> None:
    capability = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
    xattrs = {"security.capability": capability}
    tree = right(tmp_path, [file("ping", b"x", mode=0o2755, xattrs=xattrs)])
    assert os.getxattr(tree / "ping", "security.capability") == capability


SU = file("su", b"old", mode=0o4755)


@pytest.mark.parametrize(
    "above",
    [[whiteout("su")], [file("su", b"new")], [opaque("")], [directory("su")]],
    ids=["deleted", "replaced", "opaque", "a directory"],
)
def test_set_id_files_that_are_not_seen_are_left_out(above: list[Member], tmp_path: Path) -> None:
    assert not right(tmp_path, [SU], above).exists()


def test_only_the_topmost_set_id_file_counts(tmp_path: Path) -> None:
    tree = right(tmp_path, [SU], [file("su", b"new", mode=0o2755)])
    assert (tree / "su").read_bytes() == b"new"
    assert (tree / "su").stat().st_mode & 0o7777 == 0o2755


@pytest.mark.root
def test_implied_directories_get_the_metadata_of_the_layer_that_states_it(tmp_path: Path) -> None:
    stated = directory("d", mode=0o1750, uid=5, gid=6)
    tree = right(tmp_path, [stated], [file("d/x")])
    assert paths(tree) == ["d"]
    status = (tree / "d").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o1750, 5, 6)


def test_implied_directories_that_nobody_states_need_nothing(tmp_path: Path) -> None:
    assert not right(tmp_path, [file("d/x")], [file("d/y")]).exists()


def test_directories_that_one_layer_has_alone_are_not_asked_for_one_by_one(
    deep_path: Path,
) -> None:
    trees = deep_path / "tree"
    trees.mkdir()
    stack = stack_of(trees, tarball(file("f")), tarball(file("d/" * 1900 + "f")))
    started = time.process_time()
    assert put_right(stack, trees / "extra").is_empty
    assert time.process_time() - started < 1


def test_holes_of_what_is_put_right_stay_holes(tmp_path: Path) -> None:
    """A layer of 2 kB can have a set-id file of terabytes, which each run would write."""
    size = 64 << 20
    sparse = format_0(f"0,3,{size - 3},3", b"onetwo", size=size)
    sparse.header.mode = 0o4755
    tree = right(tmp_path, [sparse], [hardlink("link", "sparse")])
    for name in ("sparse", "link"):
        with (tree / name).open("rb") as content:
            assert os.fstat(content.fileno()).st_blocks * 512 < 1 << 20
            assert content.read(4) == b"one\0"
            content.seek(-4, os.SEEK_END)
            assert content.read() == b"\0two"


@pytest.mark.root
def test_links_to_lower_layers_are_files_with_their_metadata(tmp_path: Path) -> None:
    target = file("x", b"content", mode=0o4711, uid=7, gid=8)
    tree = right(tmp_path, [target], [hardlink("d/y", "x")], [hardlink("z", "d/y")])
    assert paths(tree) == ["d", "d/y", "x", "z"]
    for name in ("d/y", "z"):
        status = (tree / name).stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o4711, 7, 8)
        assert (tree / name).read_bytes() == b"content"


def test_a_link_is_what_the_target_was_when_it_was_made(tmp_path: Path) -> None:
    tree = right(tmp_path, [file("x", b"old")], [hardlink("y", "x")], [file("x", b"new")])
    assert paths(tree) == ["y"]
    assert (tree / "y").read_bytes() == b"old"


def test_a_link_to_a_symlink_is_one(tmp_path: Path) -> None:
    tree = right(tmp_path, [symlink("x", "../to")], [hardlink("y", "x")])
    assert os.readlink(tree / "y") == "../to"


@pytest.mark.parametrize(
    "above",
    [[whiteout("y")], [file("y")], [opaque("")]],
    ids=["deleted", "replaced", "opaque"],
)
def test_links_that_are_not_seen_are_left_out(above: list[Member], tmp_path: Path) -> None:
    assert not right(tmp_path, [file("x")], [hardlink("y", "x")], above).exists()


@pytest.mark.parametrize(
    "below", [[file("other")], [file("x"), directory("d")]], ids=["missing", "deleted"]
)
def test_a_link_to_nothing_is_told(below: list[Member], tmp_path: Path) -> None:
    deleted = [whiteout("x")]
    with pytest.raises(LayerError, match="'y': its target is in no layer: 'x'"):
        right(tmp_path, below, deleted, [hardlink("y", "x")])


def test_a_link_to_a_device_is_told(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="'y': leads to what is no file"):
        right(tmp_path, [device("x", 1, 3)], [hardlink("y", "x")])


def test_set_id_files_at_the_longest_paths_are_put_right(tmp_path: Path) -> None:
    path = "/".join(["n" * 250] * 16) + "/su"
    stack = stack_of(tmp_path, tarball(file(path, b"su", mode=0o4755)))
    extra = put_right(stack, tmp_path / "extra")
    assert not extra.is_empty
    found = stack.find(EntryPath(path))
    assert found is not None
    assert found.entry.mode == 0o4755


INSIDE = """
import io, os
from pathlib import Path
from rootrun.layer.apply import apply_layer
from rootrun.layer.stack import LayerStack, UnpackedLayer
from rootrun.rootfs.extra_layer import put_right
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.userns import enter_namespaces

id_map = enter_namespaces(choose_id_map({kind!r}))
os.mkdir("tree")
fd = os.open("tree", os.O_RDONLY)
record = apply_layer(io.BytesIO({layer!r}), tree_fd=fd, ids=id_map, redirects={{}})
stack = LayerStack([UnpackedLayer(tree=Path("tree"), record=record)])
put_right(stack, Path("extra"))
status = os.lstat("extra/su")
print(oct(status.st_mode & 0o7777), status.st_uid, status.st_gid)
print(oct(os.lstat("tree/su").st_mode & 0o7777))
os.system("rm -rf tree extra")
"""


@pytest.mark.userns
@pytest.mark.parametrize(
    ("kind", "owner"),
    [("subids", "5 6"), ("single", "0 0")],
)
def test_set_id_files_belong_to_whom_the_id_map_has(
    kind: str, owner: str, tester: Account, lone: Account
) -> None:
    account = {"subids": tester, "single": lone}[kind]
    layer = tarball(file("su", b"x", mode=0o4755, uid=5, gid=6))
    source = INSIDE.format(kind=kind, layer=layer)
    done = run_python(source, account=account, cwd=account.new_directory())
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().splitlines() == [f"0o4755 {owner}", "0o755"]


@pytest.mark.userns
def test_half_an_owner_is_given_where_the_id_map_has_only_half(lone: Account) -> None:
    layer = tarball(file("su", b"x", mode=0o4755, uid=0, gid=6))
    source = INSIDE.format(kind="single", layer=layer)
    done = run_python(source, account=lone, cwd=lone.new_directory())
    assert done.stdout.decode().splitlines()[:1] == ["0o4755 0 0"], done.stderr.decode()
