"""The mounted root shows what the image says, and its changes are told; inside real namespaces."""

import json
import os

import pytest

from tests.support.program import run_python
from tests.support.tarball import (
    Member,
    device,
    directory,
    file,
    opaque,
    tarball,
    whiteout,
)
from tests.support.users import Account

pytestmark = pytest.mark.userns

# `stack` is the image, `root(place)` mounts it, `told` is printed at the end.
PRELUDE = """
import io, json, os
from pathlib import Path
from rootrun.layer.apply import apply_layer
from rootrun.layer.compare import DiffNotes
from rootrun.layer.entry import EntryPath
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.stack import LayerStack, UnpackedLayer
from rootrun.rootfs.backend import file_system_of, open_rootfs
from rootrun.rootfs.mount_points import MountPoint
from rootrun.rootfs.overlay import UpperPlace, base_lowers_of, merged_view, overlay_rootfs
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.userns import enter_namespaces

id_map = enter_namespaces(choose_id_map("auto"))
stack, scratch = LayerStack(), Path("scratch").absolute()
scratch.mkdir()
for number, layer in enumerate({layers!r}):
    tree = Path(f"layer-{{number}}").absolute()
    tree.mkdir()
    fd = os.open(tree, os.O_RDONLY)
    record = apply_layer(io.BytesIO(layer), tree_fd=fd, ids=id_map, redirects={{}})
    os.close(fd)
    stack.add(UnpackedLayer(tree=tree, record=record))

def root(place=UpperPlace.SCRATCH, points=()):
    points = [MountPoint(path=EntryPath(point)) for point in points]
    return overlay_rootfs(stack, scratch=scratch, place=place, mount_points=points)

def changes(rootfs):
    return [change.entry.path for change in rootfs.changes(LayerPolicy(), DiffNotes())]

def mounts():
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sum(os.fspath(scratch) in line for line in lines)

told = {{}}
"""


def told(account: Account, layers: list[list[Member]], body: str) -> dict[str, object]:
    """Run ``body`` inside namespaces with an image of ``layers``, and return what it told."""
    prelude = PRELUDE.format(layers=[tarball(*members) for members in layers])
    source = f"{prelude}\n{body}\nprint(json.dumps(told))\nos.system('rm -rf layer-* scratch')\n"
    place = account.new_directory()
    done = run_python(source, account=account, cwd=place)
    assert done.returncode == 0, done.stderr.decode()
    assert os.listdir(place) == []
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("place", ["SCRATCH", "TMPFS"])
def test_changes_are_told_wherever_the_upper_stands(place: str, lone: Account) -> None:
    body = f"""
with root(UpperPlace.{place}) as rootfs:
    (rootfs.root / "d" / "new").touch()
    (rootfs.root / "gone").unlink()
    told["changes"] = changes(rootfs)
told["mounts"] = mounts()
"""
    answer = told(lone, [[directory("d"), file("gone")]], body)
    assert answer == {"changes": [".wh.gone", "d", "d/new"], "mounts": 0}


MARKED: dict[str, list[list[Member]]] = {
    "a whiteout of nothing": [[directory("d"), whiteout("d/x")]],
    "in an opaque directory": [[file("d/x")], [directory("d"), opaque("d"), whiteout("d/x")]],
    "a device": [[directory("d"), device("d/x", 1, 3)]],
    "in one layer of two": [[file("y")], [directory("d"), whiteout("d/x")]],
}


@pytest.mark.parametrize("case", MARKED)
def test_what_is_deleted_is_not_listed(case: str, lone: Account) -> None:
    body = """
with root() as rootfs:
    told["root"] = os.listdir(rootfs.root / "d")
    told["changes"] = changes(rootfs)
(scratch / "again").mkdir()
with merged_view(base_lowers_of(stack, scratch=scratch / "again"), scratch=scratch) as view:
    told["view"] = os.listdir(view / "d")
"""
    assert told(lone, MARKED[case], body) == {"root": [], "changes": [], "view": []}


def test_a_directory_with_deleted_names_can_be_removed(lone: Account) -> None:
    body = """
with root() as rootfs:
    (rootfs.root / "d").rmdir()
    told["changes"] = changes(rootfs)
"""
    layers = [[directory("d"), whiteout("d/x")]]
    assert told(lone, layers, body) == {"changes": [".wh.d"]}


def test_a_view_of_no_layers_is_empty(lone: Account) -> None:
    body = """
with merged_view([], scratch=scratch) as view:
    told["names"] = os.listdir(view)
told["mounts"] = mounts()
"""
    assert told(lone, [], body) == {"names": [], "mounts": 0}


def test_the_root_has_the_image_s_metadata(tester: Account) -> None:
    body = """
with root() as rootfs:
    status = rootfs.root.stat()
    told["root"] = [oct(status.st_mode & 0o7777), status.st_uid, int(status.st_mtime)]
    told["changes"] = changes(rootfs)
"""
    layers = [[directory(".", mode=0o1711, uid=7, mtime=9)], [file("x")]]
    assert told(tester, layers, body) == {"root": ["0o1711", 7, 9], "changes": []}


def test_mount_points_are_there_and_no_change(lone: Account) -> None:
    body = """
with root(points=["proc", "d/deleted", "d/p"]) as rootfs:
    told["are"] = [(rootfs.root / name).is_dir() for name in ("proc", "d/deleted", "d/p")]
    told["changes"] = changes(rootfs)
    (rootfs.root / "d" / "p").rmdir()
    (rootfs.root / "proc").rmdir()
    told["removed"] = changes(rootfs)
"""
    layers = [[directory("d/deleted")], [whiteout("d/deleted")]]
    expected = {"are": [True, True, True], "changes": [], "removed": []}
    assert told(lone, layers, body) == expected


def test_mounts_go_when_a_run_fails(lone: Account) -> None:
    body = """
try:
    with root() as rootfs:
        told["before"] = mounts()
        raise ZeroDivisionError
except ZeroDivisionError:
    told["after"] = mounts()
"""
    assert told(lone, [], body) == {"before": 1, "after": 0}


def test_what_was_probed_is_remembered_for_this_boot(lone: Account) -> None:
    body = """
memory = Path("scratch/memory.json")
with open_rootfs(stack, scratch=scratch, memory=memory, mount_points=[]) as rootfs:
    told["backend"] = rootfs.backend
known = json.loads(memory.read_text())
told["devices"] = known["devices"] == {file_system_of(scratch): None}
told["boot"] = known["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
"""
    assert told(lone, [], body) == {"backend": "overlay", "devices": True, "boot": True}


def test_file_systems_that_come_after_one_another_are_told_apart(lone: Account) -> None:
    body = """
from rootrun.sandbox.overlay import mount_tmpfs, unmount
place, seen = Path("scratch/place"), set()
place.mkdir()
for _ in range(5):
    mount_tmpfs(place)
    seen.add(file_system_of(place))
    unmount(place)
told["seen"] = len(seen)
"""
    assert told(lone, [], body) == {"seen": 5}


@pytest.mark.parametrize("boot", [None, "another"], ids=["this boot", "another boot"])
def test_a_remembered_refusal_counts_in_its_boot_only(boot: str | None, lone: Account) -> None:
    body = f"""
memory, boot = Path("scratch/memory.json"), {boot!r}
boot = boot or Path("/proc/sys/kernel/random/boot_id").read_text().strip()
device = file_system_of(scratch)
memory.write_text(json.dumps({{"boot": boot, "devices": {{device: "refused"}}}}))
with open_rootfs(stack, scratch=scratch, memory=memory, mount_points=[]) as rootfs:
    told["on tmpfs"] = os.stat(scratch / "writable").st_dev != os.stat(scratch).st_dev
"""
    assert told(lone, [], body) == {"on tmpfs": boot is None}
