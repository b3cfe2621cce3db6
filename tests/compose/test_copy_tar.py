"""The content of a tar comes into the root as that of a directory does."""

import bz2
import gzip
import lzma
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.compose.copy_digest import digest_of_copies
from rootrun.compose.copy_in import copy_in
from rootrun.errors import RootrunError, UsageError
from rootrun.request import CopyIn
from tests.support.stacks import open_descriptors
from tests.support.tarball import (
    Member,
    device,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    symlink,
    tarball,
    whiteout,
)

MTIME_S = 77


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root to copy into, with a symlink as in a merged-usr image."""
    root = tmp_path / "root"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "bin").symlink_to("/usr/bin")
    return root


def copy(root: Path, content: bytes, destination: str = "/") -> None:
    """Copy a tar with ``content``, with a watch on descriptors."""
    source = root.parent / "source.bin"
    source.write_bytes(content)
    before = open_descriptors()
    try:
        copy_in([CopyIn(source=source, destination=destination)], root=root, mtime_s=MTIME_S)
    finally:
        assert open_descriptors() == before


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("compress", COMPRESSED.values(), ids=COMPRESSED)
def test_a_tar_is_told_by_its_content_however_compressed(
    compress: Callable[[bytes], bytes], root: Path
) -> None:
    copy(root, compress(tarball(file("d/f", b"content"))))
    assert (root / "d" / "f").read_bytes() == b"content"


@pytest.mark.parametrize(("destination", "name"), [("/usr", "usr/source.bin"), ("/x", "x")])
def test_without_a_slash_at_the_end_a_tar_is_a_file(
    destination: str, name: str, root: Path
) -> None:
    content = tarball(file("f", b"content"))
    copy(root, content, destination)
    assert (root / name).read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [b"", b"ustar", bytes(10240), gzip.compress(b"no tar"), gzip.compress(b"x" * 9999)[:40]],
    ids=["empty", "short", "zeros", "gzip of no tar", "gzip that is cut off"],
)
def test_what_is_no_tar_is_a_file(content: bytes, root: Path) -> None:
    copy(root, content, "/new/")
    assert (root / "new" / "source.bin").read_bytes() == content


@pytest.mark.root
def test_modes_are_kept_and_owners_and_times_are_not(root: Path) -> None:
    entries = [
        file("d/f", b"x", mode=0o4711, uid=5, gid=6),
        directory("d", mode=0o1750, uid=7, gid=8),  # after what is in it
        symlink("d/l", "/nowhere", uid=5, gid=6),
        fifo("d/p", mode=0o622, uid=5, gid=6),
        directory("closed", mode=0o000),
        file("closed/f", b"y"),
    ]
    copy(root, tarball(*entries), "/opt/")
    modes = {"d": 0o1750, "d/f": 0o4711, "d/p": 0o622, "closed": 0o000}
    assert {n: stat.S_IMODE((root / "opt" / n).lstat().st_mode) for n in modes} == modes
    assert os.readlink(root / "opt" / "d" / "l") == "/nowhere"
    for name in ("", "d", "d/f", "d/l", "d/p", "closed", "closed/f"):
        status = (root / "opt" / name).lstat()
        assert (status.st_uid, status.st_gid, status.st_mtime) == (0, 0, MTIME_S), name


def test_symlinks_of_the_image_to_directories_are_followed(root: Path) -> None:
    copy(root, tarball(directory("bin", mode=0o700), file("bin/x", b"x")))
    assert (root / "bin").is_symlink()
    assert (root / "usr" / "bin" / "x").read_bytes() == b"x"
    assert stat.S_IMODE((root / "usr" / "bin").stat().st_mode) != 0o700


def test_links_are_made_of_what_the_tar_had_before(root: Path) -> None:
    copy(root, tarball(file("a", b"1"), hardlink("b", "a"), hardlink("c", "b"), hardlink("a", "a")))
    assert {(root / name).stat().st_ino for name in "abc"} == {(root / "a").stat().st_ino}


def test_a_link_takes_the_place_of_what_the_image_has(root: Path) -> None:
    (root / "b").mkdir()
    (root / "b" / "f").touch()
    copy(root, tarball(file("a", b"1"), hardlink("b", "a")))
    assert (root / "b").read_bytes() == b"1"


def test_a_directory_that_a_symlink_replaced_gives_its_mode_to_none(root: Path) -> None:
    (root / "victim").mkdir(mode=0o755)
    copy(root, tarball(directory("d", mode=0o700), symlink("d", "/victim")))
    assert os.readlink(root / "d") == "/victim"
    assert stat.S_IMODE((root / "victim").stat().st_mode) == 0o755


def test_no_entry_leaves_the_root(root: Path) -> None:
    copy(root, tarball(symlink("out", "../../.."), file("out/rootrun-was-here", b"x")))
    assert (root / "rootrun-was-here").exists()


REFUSED: dict[str, tuple[list[Member], str]] = {
    "leaves": ([file("../x")], "'../x': leaves the rootfs"),
    "whiteout": ([whiteout("x")], r"'\.wh\.x': a whiteout: the tar is a layer of an image"),
    "opaque": ([opaque("d")], r"'d/\.wh\.\.wh\.\.opq': a whiteout"),
    "below a whiteout": ([file(".wh.d/x")], r"'\.wh\.d/x': a whiteout"),
    "device": ([device("null", 1, 3)], "'null': a device"),
    "root as a file": ([file("./")], "'': changes the type of the destination"),
    "link to the image": ([hardlink("x", "usr")], "'x': a link to 'usr', which is not before"),
    "file on the way": ([file("f"), file("f/x")], "'f': is not a directory"),
}


@pytest.mark.parametrize(("entries", "why"), REFUSED.values(), ids=REFUSED)
def test_what_a_copy_cannot_be_is_told(entries: list[Member], why: str, root: Path) -> None:
    with pytest.raises(RootrunError, match=rf"^--copy: .*{why}"):
        copy(root, tarball(*entries))
    assert not (root.parent / "x").exists()


def test_a_tar_that_is_cut_off_is_told(root: Path) -> None:
    content = gzip.compress(tarball(file("f", os.urandom(99999))))
    with pytest.raises(UsageError, match=r"source.bin': gzip data ends too early"):
        copy(root, content[:5000])


def test_a_checksum_behind_the_end_counts(root: Path) -> None:
    content = gzip.compress(tarball(file("f", b"x")))
    with pytest.raises(UsageError, match=r"source.bin': gzip data is damaged"):
        copy(root, content[:-8] + bytes(8))


def test_that_a_tar_is_unpacked_is_part_of_the_digest(root: Path) -> None:
    source = root.parent / "t"
    source.write_bytes(tarball(file("f", b"1")))
    unpacked = digest_of_copies([CopyIn(source=source)])
    assert digest_of_copies([CopyIn(source=source, destination="/t")]) != unpacked
    source.write_bytes(tarball(file("f", b"2")))
    assert digest_of_copies([CopyIn(source=source)]) != unpacked
    source.rename(root.parent / "renamed")
    source.write_bytes(tarball(file("f", b"1")))
    assert digest_of_copies([CopyIn(source=source)]) == unpacked
