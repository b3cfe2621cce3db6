"""Our tars in the hands of GNU tar and the standard library, and theirs in ours."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType
from rootrun.layer.tar_reader import TarReader
from rootrun.layer.tar_writer import TarWriter
from tests.support.require import require, require_program

_SPARSE_FORMATS = [
    ["--format=gnu"],
    ["--format=posix", "--sparse-version=0.0"],
    ["--format=posix", "--sparse-version=0.1"],
    ["--format=posix", "--sparse-version=1.0"],
]


def _gnu_tar(*args: str | Path, stdin: bytes = b"") -> bytes:
    argv = [require_program("tar"), *args]
    return subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def _written() -> bytes:
    pieces: list[bytes] = []
    writer = TarWriter(lambda piece: pieces.append(bytes(piece)))
    writer.add(Entry(path=ROOT, type=EntryType.DIRECTORY, mode=0o755))
    writer.add(Entry(path=EntryPath("d" * 120), type=EntryType.DIRECTORY, mode=0o1750, uid=7))
    path = EntryPath("d" * 120 + "/" + "f" * 120)
    attributes = {"user.x": b"\xff=\n\0", "user.empty": b""}
    file = Entry(path=path, type=EntryType.FILE, mode=0o4755, mtime_s=5, xattrs=attributes)
    writer.add_bytes(file, b"content")
    odd = EntryPath(os.fsdecode(b"caf\xc3\xa9 \xff\n" + b"n" * 150))
    writer.add_bytes(Entry(path=odd, type=EntryType.FILE, mode=0o600), b"x" * 1000)
    link = Entry(path=EntryPath("l"), type=EntryType.SYMLINK, mode=0o777, link_target="t" * 300)
    writer.add(link)
    hard = Entry(path=EntryPath("h"), type=EntryType.HARDLINK, mode=0o644, link_target=odd)
    writer.add(hard)
    writer.add(Entry(path=EntryPath("p"), type=EntryType.FIFO, mode=0o644, gid=3_000_000))
    writer.finish()
    return b"".join(pieces)


def test_gnu_tar_unpacks_what_we_write(tmp_path: Path) -> None:
    require(os.geteuid() == 0, "tar restores owners as root only")
    _gnu_tar("--xattrs", "--warning=no-unknown-keyword", "-C", tmp_path, "-xp", stdin=_written())
    file = tmp_path / ("d" * 120) / ("f" * 120)
    assert file.read_bytes() == b"content"
    assert (file.stat().st_mode & 0o7777, file.stat().st_mtime) == (0o4755, 5)
    assert os.getxattr(file, "user.x") == b"\xff=\n\0"
    assert os.getxattr(file, "user.empty") == b""
    odd = os.fsencode(tmp_path) + b"/caf\xc3\xa9 \xff\n" + b"n" * 150
    assert os.stat(odd).st_ino == (tmp_path / "h").stat().st_ino
    assert os.readlink(tmp_path / "l") == "t" * 300
    assert (tmp_path / ("d" * 120)).stat().st_uid == 7
    assert (tmp_path / "p").stat().st_gid == 3_000_000


def test_standard_library_reads_what_we_write() -> None:
    with tarfile.open(fileobj=io.BytesIO(_written())) as tar:
        members = {member.name: member for member in tar}
    file = members["d" * 120 + "/" + "f" * 120]
    assert file.pax_headers["SCHILY.xattr.user.x"].encode("utf-8", "surrogateescape") == (
        b"\xff=\n\0"
    )
    assert members[os.fsdecode(b"caf\xc3\xa9 \xff\n" + b"n" * 150)].size == 1000
    assert members["l"].linkname == "t" * 300
    assert members["p"].gid == 3_000_000


def test_we_read_what_we_write() -> None:
    reader = TarReader(io.BytesIO(_written()))
    entries = list(reader)
    assert [entry.path[:3] for entry in entries] == ["", "ddd", "ddd", "caf", "l", "h", "p"]
    assert entries[2].xattrs == {"user.x": b"\xff=\n\0", "user.empty": b""}
    assert entries[5].link_target == entries[3].path


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_we_read_what_gnu_tar_writes(tmp_path: Path, form: str) -> None:
    name = "n" * (90 if form in ("v7", "ustar") else 250)
    (tmp_path / "d").mkdir(mode=0o710)
    (tmp_path / "d" / name).write_bytes(b"content")
    os.link(tmp_path / "d" / name, tmp_path / "d" / "z")
    tar = _gnu_tar(f"--format={form}", "--sort=name", "-C", tmp_path, "-c", "d")
    reader = TarReader(io.BytesIO(tar))
    found = [(entry, reader.read(entry.size_bytes)) for entry in reader]
    assert [entry.path for entry, _ in found] == ["d", f"d/{name}", "d/z"]
    assert [content for _, content in found] == [b"", b"content", b""]
    assert (found[0][0].type, found[0][0].mode) == (EntryType.DIRECTORY, 0o710)
    assert found[2][0].link_target == f"d/{name}"


def test_we_read_the_attributes_that_gnu_tar_writes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    for name in ("user.x", "user.a=b", "user.50%"):
        os.setxattr(tmp_path / "f", name, b"\xff=\n\0")
    tar = _gnu_tar("--xattrs", "-C", tmp_path, "-c", "f")
    (entry,) = TarReader(io.BytesIO(tar))
    assert entry.xattrs == dict.fromkeys(("user.x", "user.a=b", "user.50%"), b"\xff=\n\0")


@pytest.mark.parametrize("options", _SPARSE_FORMATS, ids=lambda options: options[-1].lstrip("-"))
@pytest.mark.parametrize("parts", [0, 1, 3, 30, 200])
def test_we_read_the_sparse_files_of_gnu_tar(
    tmp_path: Path, options: list[str], parts: int
) -> None:
    with (tmp_path / "sparse").open("wb") as sparse:
        for part in range(parts):
            sparse.seek((1 + 3 * part) << 16)
            sparse.write(b"part %d" % part * 700)
        sparse.truncate((parts + 5) << 18)
    tar = _gnu_tar(*options, "-S", "-C", tmp_path, "-c", "sparse")
    assert len(tar) < (parts + 5) << 17
    reader = TarReader(io.BytesIO(tar))
    (entry, content), *rest = [(entry, reader.read(entry.size_bytes)) for entry in reader]
    assert entry.path == "sparse"
    assert content == (tmp_path / "sparse").read_bytes()
    assert not rest


def test_file_with_holes_is_written_whole(tmp_path: Path) -> None:
    """layer.md, File Attributes: no sparse files in a layer."""
    path = tmp_path / "sparse"
    with path.open("wb") as sparse:
        sparse.seek(1 << 20)
        sparse.write(b"end")
    pieces: list[bytes] = []
    writer = TarWriter(lambda piece: pieces.append(bytes(piece)))
    fd = os.open(path, os.O_RDONLY)
    try:
        size_bytes = os.fstat(fd).st_size
        entry = Entry(path=EntryPath("f"), type=EntryType.FILE, mode=0o644, size_bytes=size_bytes)
        writer.add_file(entry, fd)
    finally:
        os.close(fd)
    writer.finish()
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        (member,) = tar.getmembers()
        content = tar.extractfile(member)
        assert content is not None
        assert content.read() == path.read_bytes()
    assert (member.type, member.pax_headers) == (tarfile.REGTYPE, {})
    assert sum(map(len, pieces)) > 1 << 20
