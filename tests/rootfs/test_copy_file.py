"""Content is copied whole, by whatever the file system has, and holes stay holes."""

import os
from pathlib import Path

import pytest

from rootrun.rootfs.copy_file import ContentCopier

MIB = 1 << 20


def copied(source: Path, target: Path) -> ContentCopier:
    """Copy ``source`` to the new file ``target``."""
    copier = ContentCopier()
    with source.open("rb") as read, target.open("xb") as written:
        copier.copy(read.fileno(), written.fileno(), os.fstat(read.fileno()))
    return copier


@pytest.mark.parametrize("size", [0, 1, 4096, 3 * MIB + 7])
def test_content_is_the_same(size: int, tmp_path: Path) -> None:
    content = os.urandom(size)
    (tmp_path / "source").write_bytes(content)
    copier = copied(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == content
    assert copier.copies + copier.reflinks == bool(size)


@pytest.mark.parametrize("at", [[], [0], [5 * MIB], [0, 9 * MIB]], ids=repr)
def test_holes_stay_holes(at: list[int], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("xb") as file:
        for offset in at:
            file.seek(offset)
            file.write(b"x" * 5000)
        file.truncate(20 * MIB)
    copied(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks <= source.stat().st_blocks


def test_files_go_from_one_file_system_to_another(tmp_path: Path) -> None:
    source = Path("/dev/shm") / f"rootrun-test-{os.getpid()}"
    source.write_bytes(b"content" * 1000)
    try:
        copied(source, tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == source.read_bytes()
    finally:
        source.unlink()
