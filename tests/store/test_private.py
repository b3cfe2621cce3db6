"""Private directories are private whatever the umask, and not taken from others."""

import os
from pathlib import Path

import pytest

from rootrun.store.private import is_own_directory, make_private_directory


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777], ids=oct)
def test_a_new_directory_is_0700(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        make_private_directory(tmp_path / "new")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o7777 == 0o700


def test_a_directory_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir(mode=0o750)
    make_private_directory(tmp_path / "old")
    assert (tmp_path / "old").stat().st_mode & 0o7777 == 0o750


def test_missing_parents_are_made(tmp_path: Path) -> None:
    make_private_directory(tmp_path / "a" / "b" / "c")
    assert is_own_directory(tmp_path / "a" / "b" / "c")


def test_a_file_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_private_directory(tmp_path / "file")


@pytest.mark.root
def test_what_belongs_to_somebody_else_is_not_ours(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    assert not is_own_directory(tmp_path)
    assert not is_own_directory(tmp_path / "gone")
