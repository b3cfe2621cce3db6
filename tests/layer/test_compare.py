"""A path is a change if the layer can say a difference, judged against the image's truth."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.dataclass import replace
from rootrun.layer.compare import BaseEntry, Comparison, DiffNotes, PathOnDisk
from rootrun.layer.entry import Entry, EntryPath, EntryType
from rootrun.layer.metadata import ORIGIN_XATTR, entry_of
from rootrun.layer.policy import LayerPolicy, OwnerRule
from tests.support.stacks import OPEN_DIRECTORY, open_descriptors

NAME = "f"
PATH = EntryPath(NAME)


class Pair:
    """A path in an upper directory and the same path in a base."""

    def __init__(self, place: Path) -> None:
        self.base, self.upper = place / "base", place / "upper"
        self.notes = DiffNotes()
        for directory in (self.base, self.upper):
            directory.mkdir()

    def changed(
        self,
        policy: LayerPolicy | None = None,
        *,
        truth: Callable[[Entry], Entry] = lambda entry: entry,
        disk_xattrs: bool = True,
    ) -> Entry | None:
        """Compare; ``truth`` is what the image says, made of what the base's disk says."""
        status = os.lstat(self.base / NAME)
        is_link = (self.base / NAME).is_symlink()
        target = os.readlink(self.base / NAME) if is_link else ""
        below = BaseEntry(truth(entry_of(PATH, status, link_target=target)), status, disk_xattrs)
        return self.compare(policy, below)

    def compare(self, policy: LayerPolicy | None, below: BaseEntry | None) -> Entry | None:
        """Compare with ``below``."""
        comparison = Comparison(policy or LayerPolicy(), self.notes)
        fds = [os.open(path, OPEN_DIRECTORY) for path in (self.upper, self.base)]
        before = open_descriptors()
        try:
            here = PathOnDisk(PATH, fds[0], fds[1], NAME, os.lstat(self.upper / NAME))
            return comparison.changed_file(here, below)
        finally:
            assert open_descriptors() == before
            for fd in fds:
                os.close(fd)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A file that is the same in both, as overlayfs leaves one that it has copied up."""
    pair = Pair(tmp_path)
    for directory in (pair.base, pair.upper):
        (directory / NAME).write_bytes(b"same")
        (directory / NAME).chmod(0o640)
    os.setxattr(pair.upper / NAME, ORIGIN_XATTR, b"")
    return pair


def test_equal_files_are_no_change(pair: Pair) -> None:
    assert pair.changed() is None


@pytest.mark.parametrize("content", [b"Same", b"", b"same\0"], ids=["size", "empty", "longer"])
def test_new_content_is_a_change(content: bytes, pair: Pair) -> None:
    (pair.upper / NAME).write_bytes(content)
    changed = pair.changed(LayerPolicy(mtime_s=77))
    assert changed is not None
    assert (changed.size_bytes, changed.mode, changed.mtime_s) == (len(content), 0o640, 77)


def test_a_difference_at_the_end_of_a_large_file_is_seen(pair: Pair) -> None:
    for directory, last in ((pair.base, b"a"), (pair.upper, b"b")):
        (directory / NAME).write_bytes(bytes(3 << 20) + last)
    assert pair.changed() is not None


def test_what_the_base_has_not_is_a_change(pair: Pair) -> None:
    assert pair.compare(None, None) is not None


def test_what_takes_a_device_s_place_is_a_change(pair: Pair) -> None:
    device = Entry(path=PATH, type=EntryType.CHARACTER_DEVICE, mode=0o644, rdev=(1, 3))
    assert pair.compare(None, BaseEntry(device, None, disk_xattrs=False)) is not None


def test_a_new_mode_is_a_change(pair: Pair) -> None:
    (pair.upper / NAME).chmod(0o4640)
    changed = pair.changed()
    assert changed is not None
    assert changed.mode == 0o4640


XATTRS = {
    "added": ({}, {"user.a": b"1"}, True),
    "removed": ({"user.a": b"1"}, {}, True),
    "changed": ({"user.a": b"1"}, {"user.a": b"2"}, True),
    "equal": ({"user.a": b"1"}, {"user.a": b"1"}, False),
    "overlay's own": ({}, {"user.overlay.origin": b"1"}, False),
}


@pytest.mark.parametrize("case", XATTRS)
def test_kept_xattrs_are_compared(case: str, pair: Pair) -> None:
    old, new, is_change = XATTRS[case]
    for directory, values in ((pair.base, old), (pair.upper, new)):
        for name, value in values.items():
            os.setxattr(directory / NAME, name, value)
    changed = pair.changed()
    assert (changed is not None) is is_change
    if changed is not None:
        assert dict(changed.xattrs) == new


def true_entry(entry: Entry) -> Entry:
    """Return what an image says of a file that the disk could hold in part only."""
    return replace(entry, uid=1234, gid=5678, xattrs={"security.capability": b"c"})


def test_what_the_disk_misstates_is_no_change(pair: Pair) -> None:
    assert pair.changed(truth=true_entry, disk_xattrs=False) is None


def test_what_the_disk_misstates_stays_the_image_s_where_it_is_unchanged(pair: Pair) -> None:
    (pair.upper / NAME).chmod(0o600)
    keep = LayerPolicy(owner=OwnerRule.KEEP)
    changed = pair.changed(keep, truth=true_entry, disk_xattrs=False)
    assert changed is not None
    assert (changed.mode, changed.uid, changed.gid) == (0o600, 1234, 5678)
    assert dict(changed.xattrs) == {"security.capability": b"c"}


def test_a_mode_that_the_disk_could_not_hold_is_no_change(pair: Pair) -> None:
    assert pair.changed(truth=lambda entry: replace(entry, mode=0o6755)) is None


def test_another_file_of_the_same_name_has_nothing_of_the_image_s(pair: Pair) -> None:
    os.removexattr(pair.upper / NAME, ORIGIN_XATTR)
    keep = LayerPolicy(owner=OwnerRule.KEEP)
    changed = pair.changed(keep, truth=true_entry, disk_xattrs=False)
    assert changed is not None
    assert (changed.uid, changed.gid) == (os.getuid(), os.getgid())
    assert not changed.xattrs


@pytest.mark.parametrize(
    ("mode", "left"),
    [(0o6755, 0o755), (0o4640, 0o640), (0o2640, 0o2640), (0o6640, 0o2640), (0o1777, 0o1777)],
    ids=["both", "setuid", "mandatory locking", "setuid and locking", "sticky"],
)
def test_what_is_written_loses_what_the_disk_could_not_hold(
    mode: int, left: int, pair: Pair
) -> None:
    (pair.upper / NAME).write_bytes(b"diff")
    xattrs = {"security.capability": b"c", "user.a": b"1"}
    changed = pair.changed(
        truth=lambda entry: replace(entry, mode=mode, xattrs=xattrs), disk_xattrs=False
    )
    assert changed is not None
    assert (changed.mode, dict(changed.xattrs)) == (left, {"user.a": b"1"})


@pytest.mark.root
def test_a_new_owner_replaces_the_image_s(pair: Pair) -> None:
    os.chown(pair.upper / NAME, 7, 8)
    changed = pair.changed(LayerPolicy(owner=OwnerRule.KEEP), truth=true_entry, disk_xattrs=False)
    assert changed is not None
    assert (changed.uid, changed.gid) == (7, 8)


@pytest.mark.parametrize(
    ("target", "is_change"), [("to", False), ("TO", True)], ids=["same", "other"]
)
def test_symlinks_are_their_targets(target: str, is_change: bool, tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    (pair.base / NAME).symlink_to("to")
    (pair.upper / NAME).symlink_to(target)
    changed = pair.changed()
    assert (changed is not None) is is_change
    if changed is not None:
        assert changed.link_target == target


def test_fifos_are_compared_by_mode(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    os.mkfifo(pair.base / NAME, 0o600)
    os.mkfifo(pair.upper / NAME, 0o600)
    assert pair.changed() is None
    (pair.upper / NAME).chmod(0o640)
    assert pair.changed() is not None


@pytest.mark.root
@pytest.mark.parametrize(("minor", "is_change"), [(3, False), (5, True)], ids=["same", "other"])
def test_devices_are_compared_by_number(minor: int, is_change: bool, tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    os.mknod(pair.base / NAME, 0o20600, os.makedev(1, 3))
    os.mknod(pair.upper / NAME, 0o20600, os.makedev(1, minor))
    assert (pair.changed() is not None) is is_change


def test_notes_tell_one_line_of_each_kind() -> None:
    paths = [EntryPath(f"s{number}") for number in range(7)]
    notes = DiffNotes(dropped_owners=2, sockets=paths, unspeakable=paths[:1])
    owners, sockets, unspeakable = notes.lines()
    assert "2 changed paths" in owners
    assert "--owner keep" in owners
    assert sockets.endswith("'s0', 's1', 's2', 's3', 's4' and 2 more")
    assert unspeakable.endswith("dropped: 's0'")
    assert DiffNotes().lines() == []
