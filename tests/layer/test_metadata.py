"""What lstat(2) and the extended attributes say, as an entry."""

import os
import socket
import struct
from pathlib import Path

import pytest

from rootrun.layer.entry import EntryPath, EntryType
from rootrun.layer.metadata import entry_of, is_whiteout, kept_xattrs, portable_capability
from tests.support.stacks import OPEN_DIRECTORY, make_whiteout

PATH = EntryPath("x")
WORDS = (1 << 10, 0, 0, 0)
REVISION_2 = struct.pack("<5I", 0x02000001, *WORDS)
REVISION_3 = struct.pack("<6I", 0x03000001, *WORDS, 100000)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(REVISION_3, REVISION_2), (REVISION_2, REVISION_2), (b"", b""), (b"short", b"short")],
    ids=["revision 3", "revision 2", "empty", "short"],
)
def test_a_capability_loses_the_namespace_s_root(value: bytes, expected: bytes) -> None:
    assert portable_capability(value) == expected


@pytest.mark.root
def test_kept_xattrs_are_capabilities_and_those_of_users(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    for name in ("user.b", "user.a", "user.overlay.opaque", "trusted.x"):
        os.setxattr(path, name, name.encode())
    os.setxattr(path, "security.capability", REVISION_2)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        kept = kept_xattrs(descriptor)
    finally:
        os.close(descriptor)
    assert list(kept.items()) == [
        ("security.capability", REVISION_2),
        ("user.a", b"user.a"),
        ("user.b", b"user.b"),
    ]


@pytest.mark.root
def test_an_entry_is_what_the_disk_says(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"four")
    os.chown(path, 5, 6)
    path.chmod(0o4751)
    os.utime(path, ns=(0, 7_900_000_000))
    entry = entry_of(PATH, path.lstat(), xattrs={"user.a": b"1"})
    assert (entry.type, entry.mode, entry.size_bytes) == (EntryType.FILE, 0o4751, 4)
    assert (entry.uid, entry.gid, entry.mtime_s, entry.rdev) == (5, 6, 7, (0, 0))
    assert dict(entry.xattrs) == {"user.a": b"1"}


def test_a_time_before_1970_is_0(tmp_path: Path) -> None:
    os.utime(tmp_path, (-5, -5))
    assert entry_of(PATH, tmp_path.lstat()).mtime_s == 0


def test_only_files_have_a_size(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    link = entry_of(PATH, (tmp_path / "link").lstat(), link_target="target")
    assert (link.type, link.size_bytes, link.link_target) == (EntryType.SYMLINK, 0, "target")
    assert entry_of(PATH, tmp_path.lstat()).size_bytes == 0


@pytest.mark.root
def test_a_device_has_its_numbers(tmp_path: Path) -> None:
    os.mknod(tmp_path / "b", 0o60600, os.makedev(259, 1234))
    entry = entry_of(PATH, (tmp_path / "b").lstat())
    assert (entry.type, entry.rdev) == (EntryType.BLOCK_DEVICE, (259, 1234))


def test_a_socket_is_no_entry(tmp_path: Path) -> None:
    fd = os.open(tmp_path, OPEN_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{fd}/s")
    os.close(fd)
    with pytest.raises(AssertionError, match="a socket is no entry: 'x'"):
        entry_of(PATH, (tmp_path / "s").lstat())


@pytest.mark.root
def test_only_the_device_0_0_is_a_whiteout(tmp_path: Path) -> None:
    make_whiteout(tmp_path / "whiteout")
    os.mknod(tmp_path / "null", 0o20600, os.makedev(1, 3))
    os.mknod(tmp_path / "block", 0o60600, 0)
    (tmp_path / "file").touch()
    found = {path.name for path in tmp_path.iterdir() if is_whiteout(path.lstat())}
    assert found == {"whiteout"}
