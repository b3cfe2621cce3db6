"""Changes become a tar that other readers read, and what changes meanwhile is told."""

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rootrun.errors import LayerError
from rootrun.layer.diff import Change
from rootrun.layer.entry import EntryPath
from rootrun.layer.metadata import entry_of
from rootrun.layer.pack import PackedLayer, pack_layer
from tests.support.stacks import OPEN_DIRECTORY, open_descriptors, unpacked_layer


def changes_of(directory: Path) -> Iterator[Change]:
    """Yield the files of ``directory`` as changes."""
    fd = os.open(directory, OPEN_DIRECTORY)
    try:
        for name in sorted(os.listdir(directory)):
            yield Change(entry_of(EntryPath(name), os.lstat(directory / name)), fd, name)
    finally:
        os.close(fd)


def test_files_are_packed_with_their_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 100_000)
    (tmp_path / "b").touch()
    (tmp_path / "c").mkdir()
    os.mkfifo(tmp_path / "d")
    out, advanced = io.BytesIO(), list[int]()
    before = open_descriptors()
    packed = pack_layer(changes_of(tmp_path), out.write, advance=advanced.append)
    assert open_descriptors() == before
    assert packed == PackedLayer(entry_count=4, content_bytes=100_000)
    assert sum(advanced) == 100_000
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        assert [member.name for member in tar] == ["a", "b", "c", "d"]
        content = tar.extractfile("a")
        assert content is not None
        assert content.read() == b"a" * 100_000


def test_no_changes_are_an_empty_tar() -> None:
    out = io.BytesIO()
    assert pack_layer([], out.write, advance=lambda _: None) == PackedLayer(0, 0)
    assert out.getvalue() == bytes(1024)


def test_a_file_that_became_shorter_is_told(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"content")
    changes = list(changes_of(tmp_path))
    os.truncate(tmp_path / "log", 3)
    fd = os.open(tmp_path, OPEN_DIRECTORY)
    before = open_descriptors()
    with pytest.raises(LayerError, match="'log'"):
        pack_layer(
            [change._replace(directory_fd=fd) for change in changes],
            io.BytesIO().write,
            advance=lambda _: None,
        )
    assert open_descriptors() == before
    os.close(fd)


def test_a_file_that_became_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"content")
    changes = list(changes_of(tmp_path))
    (tmp_path / "f").unlink()
    (tmp_path / "f").symlink_to("/etc/passwd")
    fd = os.open(tmp_path, OPEN_DIRECTORY)
    with pytest.raises(OSError, match="symbolic links"):
        pack_layer(
            [change._replace(directory_fd=fd) for change in changes],
            io.BytesIO().write,
            advance=lambda _: None,
        )
    os.close(fd)


@pytest.mark.parametrize(
    "parts", [[], [0], [4 << 20], [0, 3 << 20, 8 << 20], range(0, 40 << 20, 1 << 20)]
)
def test_holes_are_kept_if_asked_for(parts: Sequence[int], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    with (source / "disk").open("wb") as disk:
        for offset in parts:
            disk.seek(offset)
            disk.write(b"x" * 5000)
        disk.truncate(41 << 20)
    out = io.BytesIO()
    packed = pack_layer(changes_of(source), out.write, advance=lambda _: None, keeps_holes=True)
    assert len(out.getvalue()) < (len(parts) + 1) * 10_000
    unpacked_layer(target, out.getvalue())
    assert (target / "disk").read_bytes() == (source / "disk").read_bytes()
    assert (target / "disk").stat().st_blocks * 512 < (len(parts) + 1) * 10_000
    assert packed.content_bytes == 41 << 20
