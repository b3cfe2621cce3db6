"""Writing tars: the same bytes for the same entries, in few large pieces."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rootrun.errors import LayerError
from rootrun.layer.entry import DEVICE_TYPES, Entry, EntryPath, EntryType
from rootrun.layer.tar_reader import TarReader
from rootrun.layer.tar_writer import TarWriter

FILE = Entry(path=EntryPath("f"), type=EntryType.FILE, mode=0o644)


class Pieces:
    """What a writer was given, piece by piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.writer = TarWriter(self._append)

    def _append(self, piece: bytes | memoryview) -> None:
        self.pieces.append(bytes(piece))

    def finish(self) -> bytes:
        """End the archive and return it."""
        self.writer.finish()
        return b"".join(self.pieces)


def test_empty_archive_is_two_blocks_of_zeros() -> None:
    assert Pieces().finish() == bytes(1024)


def test_small_entries_are_joined_into_large_pieces() -> None:
    pieces = Pieces()
    for _ in range(10_000):
        pieces.writer.add(FILE)
    tar = pieces.finish()
    assert len(tar) == 10_000 * 512 + 1024
    assert all(len(piece) >= 1 << 20 for piece in pieces.pieces[:-1])
    assert len(pieces.pieces) < 7


def test_content_comes_from_the_offset_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"skipped" + b"content" + b"beyond")
    pieces = Pieces()
    fd = os.open(path, os.O_RDONLY)
    try:
        os.lseek(fd, 7, os.SEEK_SET)
        pieces.writer.add_file(Entry(path=FILE.path, type=FILE.type, mode=0, size_bytes=7), fd)
    finally:
        os.close(fd)
    tar = pieces.finish()
    assert tar[512:1024] == b"content".ljust(512, b"\0")
    assert len(tar) == 2048


def test_file_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"short")
    fd = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(LayerError, match="pack layer: 'f': changed while it was read"):
            Pieces().writer.add_file(
                Entry(path=FILE.path, type=FILE.type, mode=0, size_bytes=6), fd
            )
    finally:
        os.close(fd)


def test_content_is_not_forgotten() -> None:
    with pytest.raises(ValueError, match="has content"):
        Pieces().writer.add(Entry(path=FILE.path, type=FILE.type, mode=0, size_bytes=1))


def test_length_of_the_bytes_is_the_size() -> None:
    pieces = Pieces()
    pieces.writer.add_bytes(FILE, b"12345")
    (entry,) = TarReader(io.BytesIO(pieces.finish()))
    assert entry.size_bytes == 5


_name = st.binary(min_size=1, max_size=255).map(
    lambda raw: os.fsdecode(raw.replace(b"/", b"_").replace(b"\0", b"_"))
)
_part = _name.filter(lambda name: name not in (".", ".."))
_path = st.lists(_part, min_size=1, max_size=12).map("/".join).map(EntryPath)
_target = st.lists(_name, min_size=1, max_size=12).map("/".join)
_xattrs = st.dictionaries(
    _part.map(lambda name: f"user.{name}"), st.binary(max_size=300), max_size=3
)


@st.composite
def _entry(draw: st.DrawFn) -> tuple[Entry, bytes]:
    entry_type = draw(st.sampled_from(EntryType))
    content = draw(st.binary(max_size=1500)) if entry_type is EntryType.FILE else b""
    links = {EntryType.SYMLINK: _target, EntryType.HARDLINK: _path}
    device = st.tuples(st.integers(0, 4095), st.integers(0, 1048575))
    entry = Entry(
        path=draw(_path),
        type=entry_type,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(st.integers(0, 2**32 - 2)),
        gid=draw(st.integers(0, 2**32 - 2)),
        mtime_s=draw(st.integers(0, 2**33 - 1)),
        size_bytes=len(content),
        link_target=draw(links[entry_type]) if entry_type in links else "",
        rdev=draw(device) if entry_type in DEVICE_TYPES else (0, 0),
        xattrs=draw(_xattrs),
    )
    return entry, content


@settings(max_examples=150, deadline=None)
@given(st.lists(_entry(), max_size=4))
def test_what_is_written_is_read(entries: list[tuple[Entry, bytes]]) -> None:
    tars = []
    for _ in range(2):
        pieces = Pieces()
        for entry, content in entries:
            if entry.type is EntryType.FILE:
                pieces.writer.add_bytes(entry, content)
            else:
                pieces.writer.add(entry)
        tars.append(pieces.finish())
    reader = TarReader(io.BytesIO(tars[0]))
    assert [(entry, reader.read(entry.size_bytes)) for entry in reader] == entries
    assert tars[0] == tars[1]
