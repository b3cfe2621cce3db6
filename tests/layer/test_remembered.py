"""What a run remembers of a path is what its layer says, whatever is on the disk."""

import os
from pathlib import Path

import pytest

from rootrun.layer.compare import BaseEntry, Comparison, DiffNotes, PathOnDisk, Remembered
from rootrun.layer.entry import Entry, EntryPath, EntryType
from rootrun.layer.metadata import ORIGIN_XATTR, entry_of
from rootrun.layer.policy import LayerPolicy, OwnerRule
from tests.support.stacks import OPEN_DIRECTORY

NAME = "f"
PATH = EntryPath(NAME)
KEEP = LayerPolicy(owner=OwnerRule.KEEP)
DEVICE = Remembered(3, 4, EntryType.CHARACTER_DEVICE, (1, 3))


class Memory:
    """An ``Ownership`` that knows the same of every path."""

    def __init__(self, remembered: Remembered | None) -> None:
        self._remembered = remembered

    def of_upper(self, directory_fd: int, name: str, status: os.stat_result) -> Remembered | None:
        assert os.lstat(name, dir_fd=directory_fd).st_ino == status.st_ino
        return self._remembered


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two directories with the same file, in the upper as overlayfs has copied it up."""
    for name in ("upper", "base"):
        (tmp_path / name).mkdir()
        (tmp_path / name / NAME).write_bytes(b"same")
        os.chown(tmp_path / name / NAME, os.getuid(), os.getgid())
    os.setxattr(tmp_path / "upper" / NAME, ORIGIN_XATTR, b"")
    return tmp_path


def compared(
    place: Path,
    remembered: Remembered | None,
    *,
    policy: LayerPolicy = KEEP,
    truth: tuple[int, int] | None = None,
    mode: int = 0o644,
) -> Entry | None:
    """Compare with a base of owner ``truth`` and ``mode``; None: there is none."""
    below = None
    if truth is not None:
        status = os.lstat(place / "base" / NAME)
        entry = Entry(path=PATH, type=EntryType.FILE, mode=mode, uid=truth[0], gid=truth[1])
        assert entry_of(PATH, status).mode == 0o644
        below = BaseEntry(entry, status)
    fds = [os.open(place / name, OPEN_DIRECTORY) for name in ("upper", "base")]
    try:
        here = PathOnDisk(PATH, fds[0], fds[1], NAME, os.lstat(place / "upper" / NAME))
        return Comparison(policy, DiffNotes(), Memory(remembered)).changed_file(here, below)
    finally:
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize(
    ("remembered", "owner"),
    [
        (Remembered(5, 6), (5, 6)),
        (Remembered(5, None), (5, 43)),
        (Remembered(None, 6), (42, 6)),
        (Remembered(0, 0), (0, 0)),
    ],
    ids=["both", "uid", "gid", "root"],
)
def test_a_remembered_owner_is_a_change_and_the_rest_is_the_base_s(
    remembered: Remembered, owner: tuple[int, int], place: Path
) -> None:
    changed = compared(place, remembered, truth=(42, 43))
    assert changed is not None
    assert (changed.uid, changed.gid, changed.type) == (*owner, EntryType.FILE)


@pytest.mark.parametrize("remembered", [None, Remembered(42, 43), Remembered(42, None)])
def test_the_base_s_own_owner_is_no_change(remembered: Remembered | None, place: Path) -> None:
    assert compared(place, remembered, truth=(42, 43)) is None


def test_a_file_that_was_given_away_loses_its_set_id_bits(place: Path) -> None:
    changed = compared(place, Remembered(0, 0), truth=(0, 0), mode=0o4644)
    assert changed is not None
    assert changed.mode == 0o644


def test_an_owner_alone_is_no_change_where_owners_do_not_count(place: Path) -> None:
    assert compared(place, Remembered(5, 6), truth=(0, 0), policy=LayerPolicy()) is None


@pytest.mark.parametrize("truth", [None, (0, 0)], ids=["new", "in the place of a file"])
@pytest.mark.parametrize("rule", [OwnerRule.KEEP, OwnerRule.ROOT])
def test_a_remembered_device_is_one_in_the_layer(
    rule: OwnerRule, truth: tuple[int, int] | None, place: Path
) -> None:
    changed = compared(place, DEVICE, policy=LayerPolicy(owner=rule), truth=truth)
    assert changed is not None
    assert (changed.type, changed.rdev) == (EntryType.CHARACTER_DEVICE, (1, 3))
    assert (changed.size_bytes, changed.mode, dict(changed.xattrs)) == (0, 0o644, {})
    assert (changed.uid, changed.gid) == ((3, 4) if rule is OwnerRule.KEEP else (0, 0))
