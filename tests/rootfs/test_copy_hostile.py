"""Whatever is done to a copied root, by whatever call: the layer is that of an overlay.

And the cached layers that it was copied from stay as they are.
"""

import pytest

from tests.rootfs.test_copy import told
from tests.support.tarball import Member, directory, file, hardlink
from tests.support.users import Account

pytestmark = pytest.mark.userns

LONG = "n" * 255
DEEP = "/".join(["d" * 250] * 16)  # the longest that an image may have is PATH_MAX
LAYERS: list[list[Member]] = [
    [
        directory("d"),
        *(file(f"d/{name}", b"content" * 1000) for name in ("f", "same", "other")),
        hardlink("d/linked", "d/other"),
        directory("one"),
        file("one/x", b"1"),
        directory("two"),
        file("two/x", b"2"),
        file(f"d/{LONG}", b"long"),
        *(directory("/".join(DEEP.split("/")[:depth])) for depth in range(1, 17)),
        file(f"{DEEP}/f", b"deep"),
    ]
]

# `root` is the root, `times` are lstat(2) of d/f before.
OPERATIONS = {
    "mtime set back after a write of the same size": """
        (root / "d/f").write_bytes(b"CONTENT" * 1000)
        os.utime(root / "d/f", ns=(times.st_atime_ns, times.st_mtime_ns))
    """,
    "mapped and written": """
        with (root / "d/f").open("r+b") as target, mmap.mmap(target.fileno(), 0) as mapping:
            mapping[6999] = ord("T")
        os.utime(root / "d/f", ns=(times.st_atime_ns, times.st_mtime_ns))
    """,
    "read by a mapping before it is written": """
        with (root / "d/f").open("r+b") as target, mmap.mmap(target.fileno(), 0) as mapping:
            assert mapping[0] == ord("c")
            os.utime(root / "d/f", ns=(times.st_atime_ns, times.st_mtime_ns))
            mapping[0] = ord("C")
    """,
    "still open and mapped": """
        opened = os.open(root / "d/f", os.O_RDWR)
        mapping = mmap.mmap(opened, 0)
        mapping[0] = ord("C")
        os.pwrite(opened, b"C", 7)
    """,
    "unlinked, still open": """
        opened = os.open(root / "d/f", os.O_RDWR)
        os.unlink(root / "d/f")
        os.pwrite(opened, b"C", 7)
    """,
    "a hard link, written by the new name": """
        os.link(root / "d/f", root / "new")
        (root / "new").write_bytes(b"new")
    """,
    "a hard link in place of another file": """
        os.link(root / "d/f", root / "new")
        os.rename(root / "new", root / "d/other")
    """,
    "a hard link to another file of the same content": """
        os.link(root / "d/f", root / "new")
        os.rename(root / "new", root / "d/same")
        os.chmod(root / "d/same", 0o600)
    """,
    "directories exchanged": """
        exchange(root / "one", root / "two")
    """,
    "files exchanged": """
        exchange(root / "one/x", root / "two/x")
    """,
    "a directory moved below another and away": """
        os.mkdir(root / "new")
        shutil.move(root / "d", root / "new/d")
        shutil.move(root / "one", root / "d")
        os.rename(root / "d/x", root / "new/d/f")
    """,
    "a file without a name that gets one": """
        fd = os.open(root / "d", os.O_TMPFILE | os.O_RDWR, 0o640)
        os.write(fd, b"made")
        give_name(fd, root / "d/made")
    """,
    "a file without a name in place of a deleted one": """
        os.unlink(root / "d/f")
        fd = os.open(root / "d", os.O_TMPFILE | os.O_RDWR, 0o644)
        os.write(fd, b"CONTENT" * 1000)
        give_name(fd, root / "d/f")
    """,
    "a hole punched": """
        fallocate(root / "d/f", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)
        os.utime(root / "d/f", ns=(times.st_atime_ns, times.st_mtime_ns))
    """,
    "room made beyond the end": """
        fallocate(root / "d/f", FALLOC_FL_KEEP_SIZE, 8192, 4096)
    """,
    "truncated and grown": """
        os.truncate(root / "d/f", 1)
        os.truncate(root / "d/f", 7000)
    """,
    "flags": """
        subprocess.run(["chattr", "+d", root / "d/f"], check=False)  # a tmpfs has none
    """,
    "copied within itself": """
        with (root / "d/f").open("r+b") as target:
            os.copy_file_range(target.fileno(), target.fileno(), 10, 0, 3000)
        os.utime(root / "d/f", ns=(times.st_atime_ns, times.st_mtime_ns))
    """,
    "sockets": """
        os.unlink(root / "d/f")
        for place in (root / "d/f", root / "d/socket"):
            with socket.socket(socket.AF_UNIX) as bound:
                os.chdir(place.parent)
                bound.bind(place.name)
    """,
    "long names": """
        os.rename(root / "d" / LONG, root / "d" / LONG.upper())
        (root / "one" / LONG).write_bytes(b"")
        (root / "one" / os.fsdecode(bytes(range(128, 256)))).write_bytes(b"")
    """,
    "a long way down": """
        os.chdir(root)
        for name in DEEP.split("/"):
            os.chdir(name)
        with open("f", "r+b") as target:
            target.write(b"D")
        for _ in range(30):
            os.mkdir(LONG)
            os.chdir(LONG)
        open("new", "x").close()
    """,
    "attributes set and removed": """
        os.setxattr(root / "d/f", "user.note", b"1")
        os.setxattr(root / "d", "user.note", b"1")
        os.setxattr(root / "one", "user.note", b"1")
        os.removexattr(root / "one", "user.note")
    """,
    "nothing but times": """
        for place in (root, root / "d", root / "d/f", root / "d/linked"):
            os.utime(place, (1, 1))
    """,
}
PRELUDE = f"""
import ctypes, errno, hashlib, shutil, socket, subprocess
from rootrun.layer.pack import pack_layer
LONG, DEEP = {LONG!r}, {DEEP!r}
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, RENAME_EXCHANGE, AT_FDCWD = 1, 2, 2, -100
libc = ctypes.CDLL(None, use_errno=True)

def fallocate(place, mode, offset, length):
    fd = os.open(place, os.O_RDWR)
    arguments = (fd, mode, ctypes.c_long(offset), ctypes.c_long(length))
    assert libc.fallocate(*arguments) == 0, os.strerror(ctypes.get_errno())
    os.close(fd)

def exchange(one, two):
    names = os.fsencode(one), os.fsencode(two)
    if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) != 0:
        assert ctypes.get_errno() == errno.EXDEV  # an overlay moves no directory of the base
        for source, target in ((one, "kept"), (two, one), ("kept", two)):
            shutil.move(source, target)

def give_name(fd, place):
    # Only with a directory does it call linkat(2), which follows the link.
    os.link(f"/proc/self/fd/{{fd}}", place, src_dir_fd=fd)
    os.close(fd)

def cached():
    found = []
    for directory, _, names, fd in os.fwalk(stack.layers[0].tree):
        for name in (".", *names):
            s = os.lstat(name, dir_fd=fd)
            found.append((directory, name, s.st_ino, s.st_ctime_ns, s.st_mtime_ns, s.st_nlink))
    return sorted(found)

def operate(root, times):
"""
BOTH = """
before, home = cached(), os.getcwd()
for wanted in ("overlay", "copy"):
    scratch = Path(home, "scratch", wanted)
    scratch.mkdir()
    with open_rootfs(
        stack, scratch=scratch, memory=memory, mount_points=(), wanted=wanted
    ) as rootfs:
        operate(rootfs.root, os.lstat(rootfs.root / "d/f"))
        os.chdir(home)
        packed = bytearray()
        pack_layer(
            rootfs.changes(LayerPolicy(), DiffNotes()), packed.extend, advance=lambda _: None
        )
        told[wanted] = hashlib.sha256(packed).hexdigest()
        told[f"paths {wanted}"] = changes(rootfs)
told["cache is as before"] = cached() == before
"""


@pytest.mark.parametrize("is_tmpfs", [False, True], ids=["disk", "tmpfs"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_layer_is_that_of_an_overlay(operation: str, is_tmpfs: bool, lone: Account) -> None:
    place = "mount_tmpfs(scratch)" if is_tmpfs else ""
    body = "\n".join([PRELUDE, OPERATIONS[operation], place, BOTH])
    answer = told(lone, LAYERS, body)
    assert answer["paths copy"] == answer["paths overlay"]
    assert answer["copy"] == answer["overlay"]
    assert answer["cache is as before"] is True


def test_content_is_read_only_of_what_may_have_changed(lone: Account) -> None:
    body = """
opened = []
with root() as rootfs:
    (rootfs.root / "d/f").write_bytes(b"content" * 1000)
    (rootfs.root / "one/x").chmod(0o600)
    sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
    told["changes"] = changes(rootfs)
files = {"f", "same", "other", "linked", "x", LONG}
told["opened"] = sorted(files.intersection(opened))
"""
    prelude = f"import sys\nLONG = {LONG!r}\n"
    answer = told(lone, LAYERS, prelude + body)
    assert answer == {"changes": ["one", "one/x"], "opened": ["f", "x"]}
