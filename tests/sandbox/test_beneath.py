"""Opening a path as a process with another root would, and what is done through it."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rootrun.sandbox.beneath import birth_time_ns, open_in_root


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)


def _open(root: Path, path: bytes, *, follow: bool = True) -> Path:
    """Return where ``path`` leads to."""
    with _opened(root) as root_fd:
        fd = open_in_root(root_fd, path, follow=follow)
        try:
            return Path(os.readlink(f"/proc/self/fd/{fd}"))
        finally:
            os.close(fd)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a file and ways to it; beside it is what nobody should reach."""
    (tmp_path / "outside").touch()
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "file").touch()
    (root / "absolute").symlink_to("/etc/file")
    (root / "etc" / "climbing").symlink_to("../../../../etc/file")
    (root / "escape").symlink_to("../outside")
    (root / "loop").symlink_to("loop")
    return root


@pytest.mark.parametrize(
    "path", [b"/etc/file", b"etc/file", b"/absolute", b"etc/climbing", b"../../etc//./file"]
)
def test_every_way_ends_in_the_root(path: bytes, root: Path) -> None:
    assert _open(root, path) == root / "etc" / "file"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (b"/escape", errno.ENOENT),
        (b"/../outside", errno.ENOENT),
        (b"", errno.ENOENT),
        (b"/etc/file/x", errno.ENOTDIR),
        (b"/loop", errno.ELOOP),
        (b"/" + b"n" * 256, errno.ENAMETOOLONG),
    ],
    ids=["symlink", "dots", "empty", "below a file", "loop", "long"],
)
def test_failure_is_that_of_the_process_itself(path: bytes, error: int, root: Path) -> None:
    with pytest.raises(OSError, match="openat2") as caught:
        _open(root, path)
    assert caught.value.errno == error


def test_symlink_at_the_end_is_opened_itself_if_not_followed(root: Path) -> None:
    assert _open(root, b"/escape", follow=False) == root / "escape"


def test_magic_link_is_refused() -> None:
    with pytest.raises(OSError, match="Too many levels"):
        _open(Path("/"), b"/proc/self/exe")


def test_birth_time_is_of_the_file_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "first"
    before = time.time_ns() - 1_000_000_000  # the clock of files is a coarse one
    path.touch()
    with _opened(path) as fd, _opened(tmp_path) as directory:
        born = birth_time_ns(fd)
        path.write_text("changed")
        os.utime(path, (1, 1))
        path = path.rename(tmp_path / "second")
        assert birth_time_ns(fd) == birth_time_ns(directory, b"second") == born
    assert before < born <= time.time_ns()


def test_birth_time_of_a_symlink_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("missing")
    with _opened(tmp_path) as directory, _opened(tmp_path / "link") as link:
        assert birth_time_ns(directory, b"link") == birth_time_ns(link)
        with pytest.raises(FileNotFoundError, match="statx"):
            birth_time_ns(directory, b"missing")


def test_file_system_without_birth_times_says_so() -> None:
    with _opened(Path("/proc/self/status")) as fd:
        with pytest.raises(OSError, match="no birth time") as caught:
            birth_time_ns(fd)
        assert caught.value.errno == errno.ENOTSUP
