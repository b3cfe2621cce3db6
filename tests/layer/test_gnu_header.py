"""The format of GNU tar, held against GNU tar."""

import io
import os
import subprocess
from pathlib import Path

import pytest

from rootrun.dataclass import replace
from rootrun.layer.dockertools import DOCKERTOOLS
from rootrun.layer.entry import Entry, EntryPath, EntryType
from rootrun.layer.gnu_header import GNU, gnu_header_bytes
from rootrun.layer.header import parse_header
from rootrun.layer.policy import LayerShape
from rootrun.layer.tar_reader import TarReader
from rootrun.layer.tar_writer import TarWriter
from tests.support.require import require_program

_NAMELESS = 3_000_123  # an id that needs base 256, and that no account has


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with all that a tar can tell, which only root can make."""
    tree = tmp_path / "tree"
    for length in (97, 98, 99, 250):  # with ./ and the last slash: 100 bytes and one more
        (tree / ("d" * length)).mkdir(parents=True)
        (tree / ("f" * length)).write_bytes(b"x" * length)
        (tree / f"link-{length}").symlink_to("t" * (length + 2))
    os.symlink("t" * 300, tree / ("d" * 250) / ("l" * 250))
    (tree / os.fsdecode(b"caf\xc3\xa9 \xff\n'\"\\")).write_bytes(bytes(20000))
    (tree / "setuid").touch()
    os.chown(tree / "setuid", 123_456, _NAMELESS)
    (tree / "setuid").chmod(0o4755)
    os.mkfifo(tree / "fifo", 0o600)
    os.mknod(tree / "console", 0o20600, os.makedev(5, 1))
    os.mknod(tree / "disk", 0o60600, os.makedev(4095, 1048575))
    (tree / "sticky").mkdir()
    (tree / "sticky").chmod(0o1777)
    return tree


def _gnu_tar(tree: Path, *options: str) -> bytes:
    argv: list[str | Path] = [
        require_program("tar"),
        "-C",
        tree,
        "--sort=name",
        *options,
        "-cf",
        "-",
        ".",
    ]
    return subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout


def _written_again(tar: bytes, *, mtime_s: int = 1) -> bytes:
    pieces: list[bytes] = []
    writer = TarWriter(lambda piece: pieces.append(bytes(piece)), tar_format=GNU)
    reader = TarReader(io.BytesIO(tar))
    for entry in reader:
        # A reader brings times that no file system has into its range.
        writer.add_bytes(replace(entry, mtime_s=mtime_s), reader.read(entry.size_bytes))
    writer.finish()
    return b"".join(pieces)


@pytest.mark.root
@pytest.mark.parametrize("mtime_s", [0, 315_532_800, -5, 99_999_999_999])
def test_what_gnu_tar_wrote_is_written_again_byte_by_byte(mtime_s: int, tree: Path) -> None:
    tar = _gnu_tar(tree, f"--mtime=@{mtime_s}")
    assert _written_again(tar, mtime_s=mtime_s) == tar


def test_whole_records_get_no_more_blocks(tmp_path: Path) -> None:
    for size in (7 * 512, 16 * 512, 17 * 512, 18 * 512):  # a record is 20 blocks
        (tmp_path / "f").write_bytes(b"x" * size)
        tar = _gnu_tar(tmp_path, "--mtime=@1", "--owner=root:0", "--group=root:0")
        assert _written_again(tar) == tar


def test_a_size_beyond_octal_digits_is_in_base_256() -> None:
    size = 1 << 33
    entry = Entry(path=EntryPath("f"), type=EntryType.FILE, mode=0o644, size_bytes=size)
    block = gnu_header_bytes(entry)
    assert block[124:136] == b"\x80" + size.to_bytes(11, "big")
    assert parse_header(block).size_bytes == size


def test_attributes_are_in_a_pax_header_before_the_long_name() -> None:
    entry = Entry(
        path=EntryPath("n" * 200),
        type=EntryType.FILE,
        mode=0o755,
        xattrs={"security.capability": b"\1\0\0\2"},
    )
    written = gnu_header_bytes(entry)
    assert [written[at + 156 : at + 157] for at in (0, 1024, 2048)] == [b"x", b"L", b"0"]
    (read,) = TarReader(io.BytesIO(written + bytes(1024)))
    assert read == entry


def test_names_are_sorted_as_gnu_tar_does_it(tmp_path: Path) -> None:
    for name in (".wh.b", ".x", ".a", "-", "A", "a", "é"):
        (tmp_path / name).touch()
    names = [entry.path for entry in TarReader(io.BytesIO(_gnu_tar(tmp_path)))][1:]
    whiteouts, others = [".wh.b"], set(os.listdir(tmp_path)) - {".wh.b"}
    assert DOCKERTOOLS.ordered(whiteouts, others) == names
    assert LayerShape().ordered(whiteouts, others) == [".wh.b", *sorted(others)]
