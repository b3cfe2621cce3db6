"""Owners and extended attributes of a layer: on the disk where they can be, else recorded."""

import os
import tempfile
from pathlib import Path

import pytest

from rootrun.layer.entry import ROOT, EntryPath, EntryType
from rootrun.layer.record import LayerRecord, Recorded
from tests.support.program import run_python
from tests.support.tarball import device, directory, fifo, file, hardlink, symlink, tarball
from tests.support.unpacking import EVERY_ID, ONE_ID, Range, unpack
from tests.support.users import Account

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw=ep


@pytest.mark.usefixtures("as_root")
def test_owners_that_exist_are_set(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path,
        directory("d", uid=1, gid=2),
        file("d/f", uid=3, gid=4),
        symlink("l", "x", uid=5, gid=6),
        fifo("p", uid=4294967294, gid=8),
        ids=EVERY_ID,
    )
    owners = {name: (unpacked.lstat(name).st_uid, unpacked.lstat(name).st_gid)
              for name in unpacked.names()}  # fmt: skip
    assert owners == {"d": (1, 2), "d/f": (3, 4), "l": (5, 6), "p": (4294967294, 8)}
    assert not unpacked.record.entries


@pytest.mark.usefixtures("as_root")
def test_owners_that_do_not_exist_are_recorded(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path,
        directory("d", 0o2711, uid=1),
        file("d/f", mode=0o640, uid=0, gid=42),
        symlink("l", "x", uid=5, gid=6),
        file("root"),
        ids=ONE_ID,
    )
    assert unpacked.record.entries == {
        "d": Recorded(EntryType.DIRECTORY, 0o2711, 1, 0),
        "d/f": Recorded(EntryType.FILE, 0o640, 0, 42),
        "l": Recorded(EntryType.SYMLINK, 0o777, 5, 6),
    }
    assert {unpacked.lstat(name).st_uid for name in unpacked.names()} == {0}


@pytest.mark.usefixtures("as_root")
def test_owner_of_which_one_half_exists_is_set_by_half(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("f", uid=5, gid=70000), ids=Range(limit=65536))
    status = unpacked.lstat("f")
    assert (status.st_uid, status.st_gid) == (5, 0)
    assert unpacked.record.entries[EntryPath("f")].gid == 70000


@pytest.mark.usefixtures("as_root")
def test_huge_owners_are_read(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("f", uid=3_000_000_000, gid=2_097_152))
    assert unpacked.lstat("f").st_uid == 3_000_000_000
    assert unpacked.lstat("f").st_gid == 2_097_152


@pytest.mark.usefixtures("as_root")
def test_hard_link_has_the_record_of_its_target(tmp_path: Path) -> None:
    unpacked = unpack(tmp_path, file("a", uid=9), hardlink("b", "a"), ids=ONE_ID)
    assert unpacked.record.entries[EntryPath("b")] == unpacked.record.entries[EntryPath("a")]


@pytest.mark.usefixtures("as_root")
def test_second_entry_takes_the_record_along(tmp_path: Path) -> None:
    unpacked = unpack(
        tmp_path, directory("d", uid=9), directory("d"), file("f", uid=9), file("f"), ids=ONE_ID
    )
    assert not unpacked.record.entries


def test_capabilities_and_user_attributes_are_set(tmp_path: Path) -> None:
    attributes = {"security.capability": CAPABILITY, "user.note": b"\xff\x00=\n", "user.e": b""}
    unpacked = unpack(
        tmp_path,
        file("f", b"x", 0o444, xattrs=attributes),
        directory("d", 0o555, xattrs={"user.d": b"1"}),
    )
    on_disk = {name: os.getxattr(unpacked.root / "f", name)
               for name in os.listxattr(unpacked.root / "f")}  # fmt: skip
    recorded = unpacked.record.entries.get(EntryPath("f"))
    assert on_disk == attributes or (recorded is not None and recorded.xattrs == attributes)
    assert os.getxattr(unpacked.root / "d", "user.d") == b"1"
    assert unpacked.lstat("f").st_mode & 0o777 == 0o444


def test_other_attributes_are_dropped(tmp_path: Path) -> None:
    attributes = {
        "user.overlay.opaque": b"y",
        "user.overlay.redirect": b"/etc",
        "user.overlay.metacopy": b"",
        "trusted.overlay.opaque": b"y",
        "security.selinux": b"x",
        "system.posix_acl_access": b"x",
    }
    unpacked = unpack(tmp_path, file("f", xattrs=attributes), directory("d", xattrs=attributes))
    assert os.listxattr(unpacked.root / "f") == []
    assert os.listxattr(unpacked.root / "d") == []
    assert not unpacked.recorded()


def test_attribute_that_the_disk_does_not_take_is_recorded(tmp_path: Path) -> None:
    attributes = {"user.small": b"1", "user.big": b"x" * 66_000}
    unpacked = unpack(tmp_path, file("f", xattrs=attributes))
    assert unpacked.record.entries[EntryPath("f")].xattrs == attributes


def test_attributes_too_many_to_be_listed_are_recorded() -> None:
    """A tmpfs takes more names than listxattr(2) can tell."""
    attributes = {f"user.{number:0240}": b"" for number in range(400)}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as place:
        unpacked = unpack(
            Path(place), file("f", xattrs=attributes), directory("d", xattrs=attributes),
            hardlink("g", "f"), directory("d", xattrs=attributes),
        )  # fmt: skip
        for name in ("f", "g", "d"):
            assert len(os.listxattr(unpacked.root / name)) < 400
            assert unpacked.record.entries[EntryPath(name)].xattrs == attributes


def test_attributes_of_devices_are_recorded_without_user_ones(tmp_path: Path) -> None:
    node = device("n", 1, 3)
    node.header.pax_headers = {"SCHILY.xattr.user.x": "1", "SCHILY.xattr.security.capability": "c"}
    unpacked = unpack(tmp_path, node)
    assert unpacked.record.entries[EntryPath("n")].xattrs == {"security.capability": b"c"}


def test_caller_without_any_rights_records_all_owners(lone: Account) -> None:
    tree = lone.new_directory()
    layer = tarball(
        directory("d", 0o700, uid=1), file("d/f", b"x", 0o4711, gid=5), device("n", 1, 3),
        file("r", mode=0o444, xattrs={"user.x": b"1", "security.capability": CAPABILITY}),
    )  # fmt: skip
    result = run_python(_UNPACK.format(tree=os.fspath(tree)), account=lone, stdin=layer)
    assert result.returncode == 0, result.stderr.decode()
    record = LayerRecord.from_bytes(result.stdout)
    assert set(record.entries) == {ROOT, "d", "d/f", "n", "r"}
    assert record.entries[EntryPath("d/f")] == Recorded(EntryType.FILE, 0o4711, 0, 5)
    assert record.entries[EntryPath("r")].xattrs["security.capability"] == CAPABILITY
    assert os.getxattr(tree / "r", "user.x") == b"1"
    assert (tree / "d/f").stat().st_uid == lone.uid


_UNPACK = """
import os
from rootrun.layer.apply import apply_layer
from rootrun.layer.checksum import checksum_tree

class EveryId:
    def has_uid(self, number): return True
    has_gid = has_uid

tree_fd = os.open({tree!r}, os.O_RDONLY)
record = apply_layer(sys.stdin.buffer, tree_fd=tree_fd, ids=EveryId(), redirects={{}})
assert checksum_tree(tree_fd) == record.checksum
sys.stdout.buffer.write(record.to_bytes())
"""
