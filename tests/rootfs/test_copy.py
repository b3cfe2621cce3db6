"""A copied root holds what the layers show together, and a scan tells what was touched."""

import json
import zlib

import pytest

from tests.support.program import run_python
from tests.support.tarball import Member, directory, file, hardlink, opaque, tarball, whiteout
from tests.support.users import Account

pytestmark = pytest.mark.userns

# `stack` is the image, `root()` copies it below `scratch`, `told` is printed at the end.
PRELUDE = """
import io, json, mmap, os, zlib
from pathlib import Path
from rootrun.errors import SandboxError
from rootrun.layer.apply import apply_layer
from rootrun.layer.compare import DiffNotes
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.stack import LayerStack, UnpackedLayer
from rootrun.rootfs.backend import open_rootfs
from rootrun.rootfs.copy import copy_rootfs
from rootrun.sandbox.idmap_choice import choose_id_map
from rootrun.sandbox.overlay import mount_overlay, mount_tmpfs
from rootrun.sandbox.userns import enter_namespaces

id_map = enter_namespaces(choose_id_map("auto"))
stack, scratch, memory = LayerStack(), Path("scratch").absolute(), Path("memory.json")
scratch.mkdir()
for number, layer in enumerate({layers!r}):
    tree = Path(f"layer-{{number}}").absolute()
    tree.mkdir()
    fd = os.open(tree, os.O_RDONLY)
    record = apply_layer(io.BytesIO(zlib.decompress(layer)), tree_fd=fd, ids=id_map, redirects={{}})
    os.close(fd)
    stack.add(UnpackedLayer(tree=tree, record=record))

def root():
    return copy_rootfs(stack, scratch=scratch)

def chosen(wanted):
    try:
        with open_rootfs(
            stack, scratch=scratch, memory=memory, mount_points=(), wanted=wanted
        ) as rootfs:
            return rootfs.backend
    except SandboxError as error:
        return f"{{error}}; {{error.hint}}"

def changes(rootfs):
    return [change.entry.path for change in rootfs.changes(LayerPolicy(), DiffNotes())]

told = {{}}
"""
END = """
print(json.dumps(told))
os.system("umount -l scratch 2>/dev/null; rm -rf layer-* scratch place memory.json")
"""


def told(account: Account, layers: list[list[Member]], body: str) -> dict[str, object]:
    """Run ``body`` inside namespaces with an image of ``layers``, and return what it told."""
    prelude = PRELUDE.format(layers=[zlib.compress(tarball(*members)) for members in layers])
    done = run_python(f"{prelude}\n{body}\n{END}", account=account, cwd=account.new_directory())
    assert done.returncode == 0, done.stderr.decode()
    answer = json.loads(done.stdout)
    assert isinstance(answer, dict)
    return answer


def test_the_layers_are_merged(lone: Account) -> None:
    body = """
with root() as rootfs:
    paths = [path.relative_to(rootfs.root) for path in sorted(rootfs.root.rglob("*"))]
    told["paths"] = [os.fspath(path) for path in paths]
    told["content"] = (rootfs.root / "d" / "both").read_text()
    told["mode"] = oct((rootfs.root / "d").stat().st_mode)
    told["changes"] = changes(rootfs)
"""
    lower = [directory("d", mode=0o700), file("d/both", b"1"), file("d/gone"), file("hidden/x")]
    upper = [file("d/both", b"2"), whiteout("d/gone"), directory("hidden"), opaque("hidden")]
    assert told(lone, [lower, upper], body) == {
        "paths": ["d", "d/both", "hidden"],
        "content": "2",
        "mode": "0o40700",
        "changes": [],
    }


def test_a_file_that_is_written_to_at_once_is_a_change(lone: Account) -> None:
    body = """
missed = []
for number in range(20):
    scratch = Path(f"scratch/{number}").absolute()
    scratch.mkdir()
    with root() as rootfs:
        with (rootfs.root / "f").open("r+b") as target:
            target.write(b"B")
        missed.append(changes(rootfs) != ["f"])
told["missed"] = sum(missed)
"""
    assert told(lone, [[file("f", b"A")]], body) == {"missed": 0}


@pytest.mark.parametrize("is_tmpfs", [False, True], ids=["disk", "tmpfs"])
def test_what_is_written_through_a_mapping_is_a_change(is_tmpfs: bool, lone: Account) -> None:
    body = f"""
if {is_tmpfs}:
    mount_tmpfs(scratch)
with root() as rootfs:
    with (rootfs.root / "f").open("r+b") as target, mmap.mmap(target.fileno(), 0) as mapping:
        told["first"] = mapping[0]  # from now on tmpfs takes what is written without a fault
        mapping[1] = ord("B")
    told["changes"] = changes(rootfs)
"""
    layers = [[file("f", b"AA"), file("same", b"AA")]]
    assert told(lone, layers, body) == {"first": ord("A"), "changes": ["f"]}


def test_a_directory_of_the_same_inode_number_is_another_one(lone: Account) -> None:
    body = """
with root() as rootfs:
    place = rootfs.root / "d"
    inode = place.stat().st_ino
    (place / "f").unlink()
    for _ in range(100):
        place.rmdir()
        place.mkdir()
        if place.stat().st_ino == inode:
            break
    told["changes"] = changes(rootfs)
"""
    layers = [[directory("d"), file("d/f")]]
    assert told(lone, layers, body) == {"changes": ["d", "d/.wh.f"]}


def test_hard_links_are_broken_as_overlayfs_does(lone: Account) -> None:
    body = """
with root() as rootfs:
    told["links"] = [(rootfs.root / name).stat().st_nlink for name in ("one", "two")]
    (rootfs.root / "one").write_text("new")
    told["other"] = (rootfs.root / "two").read_text()
    told["changes"] = changes(rootfs)
"""
    layers = [[file("one", b"old"), hardlink("two", "one")]]
    expected = {"links": [1, 1], "other": "old", "changes": ["one"]}
    assert told(lone, layers, body) == expected


def test_a_deep_tree_is_copied_with_few_descriptors(lone: Account) -> None:
    body = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
with root() as rootfs:
    (rootfs.root / "/".join(["d"] * 400) / "f").write_bytes(b"new")
    told["changes"] = len(changes(rootfs))
"""
    layers = [[directory("/".join(["d"] * depth)) for depth in range(1, 401)]]
    assert told(lone, layers, body) == {"changes": 401}


def test_a_full_disk_is_told_in_one_line(lone: Account) -> None:
    body = """
mount_tmpfs(scratch, size_bytes=1 << 16)
told["chosen"] = chosen("copy")
"""
    answer = str(told(lone, [[file("big", bytes(range(256)) * 1024)]], body)["chosen"])
    assert "'big': No space left on device" in answer
    assert "--tmpdir" in answer


OVERLAY_ON_OVERLAY = """
# On an overlay that is itself on a tmpfs, which is refused as well: as before Linux 6.6.
boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
memory.write_text(json.dumps({"boot": boot, "devices": {"tmpfs": "no user xattrs"}}))
for name in ("lower", "upper", "work"):
    Path("place", name).mkdir(parents=True)
place = Path("place").absolute()
mount_overlay(scratch, lowers=[place / "lower"], upper=place / "upper", work=place / "work")
told["chosen"] = chosen({wanted!r})
"""


@pytest.mark.parametrize("wanted", ["auto", "copy"])
def test_on_an_overlay_the_root_is_copied(wanted: str, lone: Account) -> None:
    body = OVERLAY_ON_OVERLAY.replace("{wanted!r}", repr(wanted))
    assert told(lone, [[file("f")]], body) == {"chosen": "copy"}


def test_an_overlay_that_cannot_be_is_an_error_if_it_is_asked_for(lone: Account) -> None:
    body = OVERLAY_ON_OVERLAY.replace("{wanted!r}", "'overlay'")
    answer = str(told(lone, [[file("f")]], body)["chosen"])
    assert answer.startswith("--rootfs overlay: mount overlay: ")
    assert "with a tmpfs: no user xattrs" in answer
    assert "--rootfs copy" in answer


def test_an_overlay_is_preferred_with_its_upper_on_a_tmpfs(lone: Account) -> None:
    body = OVERLAY_ON_OVERLAY.replace("{wanted!r}", "'auto'").replace("no user xattrs", "x")
    body = body.replace('{"tmpfs": "x"}', "{}")
    assert told(lone, [[file("f")]], body) == {"chosen": "overlay"}
