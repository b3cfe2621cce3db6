"""What was verified of a file is remembered as long as the file is the same."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.store.verified import VerifiedBlob, VerifiedBlobs, stamp_of

BLOBS = [VerifiedBlob(0, 4, "sha256:aa", "sha256:bb"), VerifiedBlob(512, 9, "sha256:cc", "")]


@pytest.fixture
def memory(tmp_path: Path) -> VerifiedBlobs:
    """A memory that is empty."""
    (tmp_path / "memory").mkdir()
    return VerifiedBlobs(tmp_path / "memory")


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    """A file that was last modified a minute ago."""
    path = tmp_path / "blob"
    path.write_bytes(b"content")
    a_minute_ago = time.time() - 60
    os.utime(path, (a_minute_ago, a_minute_ago))
    return path


def remember(memory: VerifiedBlobs, path: Path) -> None:
    """Remember BLOBS of the file as it is."""
    memory.remember(path, BLOBS, read=stamp_of(path))


def test_what_was_verified_is_remembered(memory: VerifiedBlobs, blob: Path) -> None:
    remember(memory, blob)
    assert memory.recall(blob) == BLOBS


def test_a_link_to_the_file_and_another_name_of_it_are_the_file(
    memory: VerifiedBlobs, blob: Path
) -> None:
    remember(memory, blob)
    blob.with_name("symlink").symlink_to(blob)
    assert memory.recall(blob.with_name("symlink")) == BLOBS
    os.link(blob, blob.with_name("hardlink"))
    assert memory.recall(blob.with_name("hardlink")) == BLOBS


def test_a_hard_link_made_or_removed_is_no_change(memory: VerifiedBlobs, blob: Path) -> None:
    remember(memory, blob)
    os.link(blob, blob.with_name("link"))
    assert memory.recall(blob) == BLOBS
    remember(memory, blob)
    blob.with_name("link").unlink()
    assert memory.recall(blob) == BLOBS


def modify(path: Path) -> None:
    """Write other content of the same size, and set the old time again."""
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"CONTENT")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def replace_by_a_copy(path: Path) -> None:
    """Replace the file by another one of the same size and time."""
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"CONTENT")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "modified, of the same size and time": modify,
    "touched": lambda path: os.utime(path, (5, 5)),
    "replaced": replace_by_a_copy,
    "longer": lambda path: os.truncate(path, 4096),
    "gone": lambda path: path.unlink(),
}


def wait_for_the_clock(path: Path) -> None:
    """Let the clock of the file system go on: two changes within one tick have one ctime."""
    before = path.stat().st_ctime_ns
    probe = path.with_name("probe")
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > before:
            return


@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_changed_is_not_known(case: str, memory: VerifiedBlobs, blob: Path) -> None:
    remember(memory, blob)
    wait_for_the_clock(blob)
    CHANGES[case](blob)
    assert memory.recall(blob) == []


@pytest.mark.parametrize("case", [case for case in CHANGES if case != "gone"])
def test_a_file_that_changed_while_it_was_read_is_not_remembered(
    case: str, memory: VerifiedBlobs, blob: Path
) -> None:
    stamp = stamp_of(blob)
    wait_for_the_clock(blob)
    CHANGES[case](blob)
    memory.remember(blob, BLOBS, read=stamp)
    assert memory.recall(blob) == []


def test_a_file_that_was_just_written_is_not_remembered(
    memory: VerifiedBlobs, tmp_path: Path
) -> None:
    (tmp_path / "fresh").write_bytes(b"x")
    remember(memory, tmp_path / "fresh")
    assert memory.recall(tmp_path / "fresh") == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"stamp":[1],"blobs":[]}', b"[]", b"\xff", b"[" * 9999]
)
def test_a_damaged_memory_is_none(
    content: bytes, memory: VerifiedBlobs, blob: Path, tmp_path: Path
) -> None:
    remember(memory, blob)
    (file,) = (tmp_path / "memory").iterdir()
    file.write_bytes(content)
    assert memory.recall(blob) == []


def test_a_memory_that_cannot_be_written_is_no_failure(tmp_path: Path, blob: Path) -> None:
    memory = VerifiedBlobs(tmp_path / "gone")
    remember(memory, blob)
    assert memory.recall(blob) == []
