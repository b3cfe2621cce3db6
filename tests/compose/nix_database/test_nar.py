"""The hash of a tree is that of the archive that Nix itself makes of it."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rootrun.compose.nix_database.nar import Nar, nar_of
from tests.support.require import require_program
from tests.support.stacks import make_deep, open_descriptors


def found(top: Path) -> Nar:
    """Return the archive of ``top``, with a watch on descriptors."""
    with _opened(top.parent) as fd:
        before = open_descriptors()
        try:
            return nar_of(top.name, directory_fd=fd)
        finally:
            assert open_descriptors() == before


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY)
    yield fd
    os.close(fd)


def _directory(top: Path) -> None:
    names = ("a", "B", "a.b", "a b", "ab", "é", "a-", "sub", os.fsdecode(b"\xff\xfe"))
    for size, name in enumerate(names):
        (top / name).mkdir(parents=True)
        for extra in range(8):
            (top / name / f"{extra}").write_bytes(b"x" * (size * 8 + extra))
    (top / "sub" / "1").chmod(0o755)
    (top / "sub" / "2").chmod(0o611)
    (top / "sub" / "empty").mkdir()
    (top / "sub" / "link").symlink_to("../nowhere")


TREES: dict[str, Callable[[Path], object]] = {
    "directory": _directory,
    "empty directory": lambda top: top.mkdir(),
    "empty file": lambda top: top.touch(),
    "executable": lambda top: top.touch(0o500),
    "not by its owner": lambda top: top.touch(0o655),
    "link": lambda top: top.symlink_to("/target"),
    "of several blocks": lambda top: top.write_bytes(os.urandom((3 << 20) + 5)),
}


@pytest.mark.peers
@pytest.mark.parametrize("case", TREES)
def test_it_is_what_nix_dumps(case: str, tmp_path: Path) -> None:
    TREES[case](tmp_path / "top")
    argv = [str(require_program("nix-store")), "--dump", os.fspath(tmp_path / "top")]
    dumped = subprocess.run(argv, capture_output=True, check=True).stdout
    assert found(tmp_path / "top") == Nar(hashlib.sha256(dumped).hexdigest(), len(dumped))


def test_a_tree_deeper_than_pythons_recursion_is_read(deep_path: Path) -> None:
    (deep_path / "tree").mkdir()
    make_deep(deep_path / "tree", 1500)
    assert found(deep_path / "tree").size_bytes > 1500 * 150


def test_what_an_archive_cannot_hold_is_refused(tmp_path: Path) -> None:
    (tmp_path / "top" / "d").mkdir(parents=True)
    os.mkfifo(tmp_path / "top" / "d" / "pipe")
    with pytest.raises(ValueError, match="'pipe' is no file, directory or symlink"):
        found(tmp_path / "top")
