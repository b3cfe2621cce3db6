"""Files of the host come into the root, and nothing of the host is touched through it."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootrun.compose.copy_digest import digest_of_copies
from rootrun.compose.copy_in import copy_in
from rootrun.errors import RootrunError, UsageError
from rootrun.layer.removal import remove_tree
from rootrun.request import CopyIn
from tests.support.stacks import make_deep, open_descriptors

MTIME_S = 77
DEPTH = 1200


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root to copy into, with a symlink as in a merged-usr image."""
    root = tmp_path / "root"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "bin").symlink_to("/usr/bin")
    return root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory of the host to copy."""
    source = tmp_path / "source"
    source.mkdir()
    return source


def copy(root: Path, *copies: CopyIn) -> None:
    """Copy, with a watch on descriptors."""
    before = open_descriptors()
    try:
        copy_in(copies, root=root, mtime_s=MTIME_S)
    finally:
        assert open_descriptors() == before


def names(root: Path) -> list[str]:
    """Return all paths in the root."""
    return sorted(os.fspath(path.relative_to(root)) for path in root.rglob("*"))


@pytest.mark.root
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777], ids=oct)
def test_what_is_new_has_the_source_s_mode_and_the_run_s_time(
    umask: int, root: Path, source: Path
) -> None:
    (source / "d").mkdir()
    (source / "d" / "f").write_bytes(b"content")
    (source / "d" / "l").symlink_to("/nowhere")
    os.mkfifo(source / "d" / "p")
    modes = {"d": 0o1750, "d/f": 0o4711, "d/p": 0o622}
    for name, mode in modes.items():
        (source / name).chmod(mode)
    os.chown(source / "d" / "f", 5, 6)
    (source / "d" / "f").chmod(0o4711)
    before = os.umask(umask)
    try:
        copy(root, CopyIn(source=source))
    finally:
        os.umask(before)
    assert {name: stat.S_IMODE((root / name).lstat().st_mode) for name in modes} == modes
    assert os.readlink(root / "d" / "l") == "/nowhere"
    assert (root / "d" / "f").read_bytes() == b"content"
    for name in ("d", "d/f", "d/l", "d/p"):
        status = (root / name).lstat()
        assert (status.st_uid, status.st_gid, status.st_mtime) == (0, 0, MTIME_S)


def test_holes_stay_holes_and_files_without_a_size_are_read(root: Path, source: Path) -> None:
    with (source / "sparse").open("wb") as content:
        content.seek(64 << 20)
        content.write(b"end")
    copy(root, CopyIn(source=source), CopyIn(source=Path("/proc/version"), destination="/v"))
    assert (root / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (root / "sparse").read_bytes() == bytes(64 << 20) + b"end"
    assert (root / "v").read_bytes() == Path("/proc/version").read_bytes()


DESTINATIONS = {
    "/": "file",
    "/usr": "usr/file",
    "/usr/": "usr/file",
    "/new/": "new/file",
    "/new": "new",
    "/bin": "usr/bin/file",
    "/bin/renamed": "usr/bin/renamed",
    "/bin/../x": "usr/x",
    "/a/b/c": "a/b/c",
}


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_a_file_goes_where_cp_would_put_it(destination: str, root: Path, source: Path) -> None:
    (source / "file").write_bytes(b"x")
    copy(root, CopyIn(source=source / "file", destination=destination))
    assert (root / DESTINATIONS[destination]).read_bytes() == b"x"
    assert not (root / DESTINATIONS[destination]).is_symlink()


def test_directories_that_exist_keep_their_metadata(root: Path, source: Path) -> None:
    (source / "usr").mkdir(mode=0o700)
    (source / "usr" / "f").touch()
    (root / "usr").chmod(0o1755)
    copy(root, CopyIn(source=source))
    assert stat.S_IMODE((root / "usr").stat().st_mode) == 0o1755
    assert (root / "usr" / "f").exists()


def test_symlinks_to_directories_are_followed_inside_the_root(root: Path, source: Path) -> None:
    (source / "bin").mkdir()
    (source / "bin" / "x").write_bytes(b"x")
    copy(root, CopyIn(source=source))
    assert (root / "bin").is_symlink()
    assert names(root) == ["bin", "usr", "usr/bin", "usr/bin/x"]


@pytest.mark.parametrize("target", ["/", "/../../..", "../../../../.."])
def test_no_symlink_leads_out_of_the_root(target: str, root: Path, source: Path) -> None:
    (root / "out").symlink_to(target)
    (source / "out").mkdir()
    (source / "out" / "rootrun-was-here").touch()
    copy(root, CopyIn(source=source))
    assert (root / "rootrun-was-here").exists()


def test_a_file_replaces_what_is_there_and_is_not_written_through_it(
    root: Path, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_bytes(b"of the host")
    (root / "a").symlink_to(tmp_path / "victim")
    os.link(tmp_path / "victim", root / "b")
    for name in "ab":
        (source / name).write_bytes(b"new")
    copy(root, CopyIn(source=source))
    assert (tmp_path / "victim").read_bytes() == b"of the host"
    assert (root / "a").read_bytes() == (root / "b").read_bytes() == b"new"


@pytest.fixture
def linked(source: Path) -> Path:
    """A directory with symlinks to directories: in it, out of it, above it, and to none."""
    outside = source.parent / "outside"
    outside.mkdir(mode=0o750)
    (outside / "x").write_bytes(b"x")
    (source / "lib").mkdir()
    (source / "lib" / "y").write_bytes(b"y")
    (source / "lib" / "above").symlink_to("..")
    (source / "lib" / "same").symlink_to(".")
    targets: dict[str, str | Path] = {
        "lib64": "lib",
        "bin": outside,
        "file": "lib/y",
        "dangling": "/nowhere/at/all",
    }
    for name, target in targets.items():
        (source / name).symlink_to(target)
    return source


def test_symlinks_to_directories_stay_symlinks(root: Path, linked: Path) -> None:
    copy(root, CopyIn(source=linked, destination="/o"))
    assert os.readlink(root / "o" / "bin") == os.readlink(linked / "bin")
    assert os.readlink(root / "o" / "lib64") == "lib"


def test_symlinks_to_directories_become_directories_if_asked(root: Path, linked: Path) -> None:
    asked = CopyIn(source=linked, destination="/o", copies_dirlinks=True)
    copy(root, asked)
    kept = {"file": "lib/y", "dangling": "/nowhere/at/all", "lib/above": "..", "lib/same": "."}
    assert {name: os.readlink(root / "o" / name) for name in kept} == kept
    for name, content in {"bin/x": b"x", "lib/y": b"y", "lib64/y": b"y"}.items():
        assert (root / "o" / name).read_bytes() == content
        assert not (root / "o" / name).parent.is_symlink()
    assert stat.S_IMODE((root / "o" / "bin").stat().st_mode) == 0o750
    plain = CopyIn(source=linked, destination="/o")
    assert digest_of_copies([asked]) != digest_of_copies([plain])


def test_later_copies_win(root: Path, source: Path) -> None:
    (source / "a").write_bytes(b"a")
    (source / "b").write_bytes(b"b")
    copies = [CopyIn(source=source / name, destination="/f") for name in "ab"]
    copy(root, *copies)
    assert (root / "f").read_bytes() == b"b"


def test_a_symlink_that_is_the_source_itself_is_followed(root: Path, source: Path) -> None:
    (source / "file").write_bytes(b"x")
    (source / "link").symlink_to("file")
    copy(root, CopyIn(source=source / "link", destination="/"))
    assert not (root / "link").is_symlink()
    assert (root / "link").read_bytes() == b"x"


def test_what_cannot_be_copied_is_told(root: Path, source: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        fd = os.open(source, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{fd}/socket")
        os.close(fd)
    with pytest.raises(UsageError, match=r"socket'?: not a file, directory, symlink or fifo"):
        copy(root, CopyIn(source=source))


def test_a_source_that_is_gone_is_told(root: Path, source: Path) -> None:
    with pytest.raises(UsageError, match=r"^--copy: .*/gone'?: No such file"):
        copy(root, CopyIn(source=source / "gone"))


def test_a_file_where_a_directory_should_be_is_told(root: Path, source: Path) -> None:
    (root / "d").touch()
    (source / "d").mkdir()
    with pytest.raises(RootrunError, match="'d': is not a directory"):
        copy(root, CopyIn(source=source))


@pytest.fixture
def deep_source(tmp_path: Path) -> Iterator[Path]:
    """A tree nearly as deep as a path can say; it and its copy go at the end."""
    deep = tmp_path / "deep"
    deep.mkdir()
    try:
        make_deep(deep, DEPTH)
        yield deep
    finally:
        fd = os.open(tmp_path, os.O_RDONLY)
        remove_tree("deep", directory_fd=fd)
        remove_tree("root", directory_fd=fd)
        os.close(fd)


def test_trees_deeper_than_pythons_recursion_are_copied(root: Path, deep_source: Path) -> None:
    copy(root, CopyIn(source=deep_source))
    assert os.path.isdir(f"{root}/{'d/' * DEPTH}")
