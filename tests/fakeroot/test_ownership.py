"""A file's owner is remembered as long as the file lives, whatever it is called."""

import os
from pathlib import Path

import pytest

from rootrun.fakeroot.ownership import FileKey, OnDisk, OwnershipMemory, StandIns, birth_ns
from rootrun.layer.compare import Remembered
from rootrun.layer.entry import EntryType


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A new file."""
    path = tmp_path / "file"
    path.touch()
    return path


@pytest.fixture
def memory(file: Path) -> OwnershipMemory:
    """A memory of that file alone."""
    return remembering(file, Remembered(5, 6))


def remembering(path: Path, remembered: Remembered) -> OwnershipMemory:
    memory = OwnershipMemory(lambda: ())
    memory.remember(key_of(path), remembered, seen_as=key_of(path))
    return memory


def key_of(path: Path) -> FileKey:
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return FileKey(os.fstat(fd).st_ino, birth_ns(fd))
    finally:
        os.close(fd)


def recalled(memory: OwnershipMemory, path: Path) -> Remembered | None:
    directory_fd = os.open(path.parent, os.O_RDONLY)
    try:
        return memory.of_upper(directory_fd, path.name, path.lstat())
    finally:
        os.close(directory_fd)


def test_an_owner_is_recalled_by_name_and_by_descriptor(
    file: Path, memory: OwnershipMemory
) -> None:
    assert recalled(memory, file) == Remembered(5, 6)
    assert memory.recall(key_of(file), OnDisk(0, 0, 0o100644, 0)) == Remembered(5, 6)


def test_a_directory_is_asked_about_by_its_descriptor(tmp_path: Path) -> None:
    memory = remembering(tmp_path, Remembered(1, None))
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert memory.of_upper(fd, "", os.fstat(fd)) == Remembered(1, None)
    finally:
        os.close(fd)


def test_rename_link_chmod_and_writing_change_nothing(file: Path, memory: OwnershipMemory) -> None:
    moved, linked = file.with_name("moved"), file.with_name("linked")
    file.rename(moved)
    linked.hardlink_to(moved)
    moved.chmod(0o600)
    moved.write_bytes(b"x")
    assert recalled(memory, moved) == recalled(memory, linked) == Remembered(5, 6)


def test_a_copy_and_a_successor_are_others(file: Path, memory: OwnershipMemory) -> None:
    copy = file.with_name("copy")
    copy.write_bytes(file.read_bytes())
    os.replace(copy, file)
    assert recalled(memory, file) is None


def test_a_file_of_the_same_number_that_was_born_later_is_another(
    file: Path, memory: OwnershipMemory
) -> None:
    key = key_of(file)
    assert memory.recall(key._replace(birth_ns=key.birth_ns + 1), OnDisk(0, 0, 0o100644, 0)) is None


@pytest.mark.parametrize(
    ("uid", "gid", "expected"),
    [(7, None, (7, 6)), (None, 8, (5, 8)), (None, None, (5, 6)), (0, 0, (0, 0))],
    ids=["uid", "gid", "neither", "root"],
)
def test_what_a_chown_leaves_alone_is_kept(
    uid: int | None,
    gid: int | None,
    expected: tuple[int, int],
    file: Path,
    memory: OwnershipMemory,
) -> None:
    memory.remember(key_of(file), Remembered(uid, gid), seen_as=key_of(file))
    assert recalled(memory, file) == Remembered(*expected)


def test_a_device_keeps_its_numbers_when_it_gets_an_owner(file: Path) -> None:
    device = Remembered(0, 0, EntryType.BLOCK_DEVICE, (8, 1))
    memory = remembering(file, device)
    memory.remember(key_of(file), Remembered(0, 6), seen_as=key_of(file))
    assert recalled(memory, file) == device._replace(gid=6)


def test_a_copied_up_file_is_known_by_the_number_that_the_view_shows(file: Path) -> None:
    memory = OwnershipMemory(lambda: ())
    seen = key_of(file)._replace(inode=7)
    memory.remember(key_of(file), Remembered(5, 6), seen_as=seen)
    assert (
        memory.recall(seen, OnDisk(0, 0, 0o100644, 0))
        == memory.recall(key_of(file), OnDisk(0, 0, 0o100644, 0))
        == Remembered(5, 6)
    )


def test_it_grows_with_the_files_that_exist_alone(file: Path) -> None:
    memory = OwnershipMemory(lambda: [key_of(file)])
    memory.remember(key_of(file), Remembered(5, 6), seen_as=key_of(file))
    largest = 0
    for number in range(300_000):
        key = FileKey(number, 1)
        memory.remember(key, Remembered(1, 1), seen_as=key._replace(inode=number + 1_000_000))
        largest = max(largest, len(memory))
    assert largest < 70_000
    assert recalled(memory, file) == Remembered(5, 6)


def test_an_owner_that_the_disk_has_is_the_kernel_s_word(file: Path) -> None:
    memory = OwnershipMemory(lambda: (), StandIns(999, 999))
    memory.remember(key_of(file), Remembered(70000, 70001), seen_as=key_of(file))
    assert memory.recall(key_of(file), OnDisk(999, 999, 0o100644, 0)) == Remembered(70000, 70001)
    assert memory.recall(key_of(file), OnDisk(5, 999, 0o100644, 0)) == Remembered(5, 70001)
