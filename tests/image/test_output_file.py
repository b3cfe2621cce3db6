"""Outputs appear whole or not at all, and never in the place of something else."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rootrun.errors import OutputError
from rootrun.image.output_file import STDOUT, open_output_file, require_space, temporary_path
from tests.image.writing import write_image
from tests.support.image_check import assert_image_valid
from tests.support.images import docker_archive
from tests.support.require import require_program
from tests.support.tarball import file, tarball


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077], ids=oct)
def test_mode_is_what_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    previous = os.umask(umask)
    try:
        write_image(None, tmp_path / "out.tar")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "out.tar").stat().st_mode) == 0o666 & ~umask


def test_nobody_else_can_read_an_unfinished_output(tmp_path: Path) -> None:
    with open_output_file(tmp_path / "out", scratch=tmp_path) as output:
        assert stat.S_IMODE(os.fstat(output.descriptor).st_mode) == 0o600
        assert not (tmp_path / "out").exists()


def test_unfinished_output_has_no_name_that_a_kill_could_leave(tmp_path: Path) -> None:
    with open_output_file(tmp_path / "out", scratch=tmp_path) as output:
        output.write_at(b"content", 0)
        assert output.path.read_bytes() == b"content"
        assert os.listdir(tmp_path) == []
        output.commit()
    assert (tmp_path / "out").read_bytes() == b"content"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.userns
def test_output_is_written_where_files_need_a_name(tmp_path: Path) -> None:
    require_program("unshare")
    (tmp_path / "place").mkdir()
    source = (
        "import os, sys\n"
        "from tests.image.writing import write_image\n"
        "write_image(None, sys.argv[1])\n"
    )
    hide_proc = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    argv = [*hide_proc, sys.executable, "-c", source, f"{tmp_path}/place/out.tar"]
    subprocess.run(argv, check=True)
    assert_image_valid(tmp_path / "place/out.tar")
    assert os.listdir(tmp_path / "place") == ["out.tar"]


def test_output_may_be_the_base_itself(tmp_path: Path) -> None:
    layers = [tarball(file("a"))]
    image = docker_archive(tmp_path / "image.tar", layers)
    write_image(image, image)
    assert assert_image_valid(image).layers[:1] == layers


def test_older_output_survives_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    target.write_bytes(b"older")
    with pytest.raises(ZeroDivisionError), open_output_file(target, scratch=tmp_path):
        raise ZeroDivisionError
    assert target.read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["out.tar"]


def test_symlink_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "out.tar").symlink_to("place/real.tar")
    write_image(None, tmp_path / "out.tar")
    assert (tmp_path / "out.tar").is_symlink()
    assert_image_valid(tmp_path / "place/real.tar")


def test_fifo_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out")
    with (
        pytest.raises(OutputError, match="not a regular file") as raised,
        open_output_file(tmp_path / "out", scratch=tmp_path),
    ):
        pass
    assert raised.value.hint == "write it as --output - > FILE"
    assert stat.S_ISFIFO((tmp_path / "out").lstat().st_mode)


def test_directory_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="Is a directory"),
        open_output_file(tmp_path, scratch=tmp_path),
    ):
        pass


def test_lack_of_space_is_told_with_numbers(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"No space left on device: the base alone needs \d+ MiB"):
        require_space(tmp_path, 1 << 60, target=tmp_path / "out")


def test_temporary_name_fits_where_the_name_does(tmp_path: Path) -> None:
    name = "ä" * 127
    temporary = temporary_path(tmp_path / name)
    temporary.touch()
    assert temporary.parent == tmp_path


def test_stdout_gets_the_whole_image(tmp_path: Path) -> None:
    source = (
        "from tests.image.writing import write_image\n"
        "import os, sys\n"
        "os.chdir(sys.argv[1])\n"
        "write_image(None, '-')\n"
    )
    argv = [sys.executable, "-c", source, os.fspath(tmp_path)]
    finished = subprocess.run(argv, capture_output=True, check=True)
    (tmp_path / "image.tar").write_bytes(finished.stdout)
    assert_image_valid(tmp_path / "image.tar")
    assert os.listdir(tmp_path) == ["image.tar"]


@contextmanager
def _full_stdout() -> Iterator[None]:
    saved, full = os.dup(1), os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(full)


def test_stdout_that_is_full_is_an_error(tmp_path: Path) -> None:
    with open_output_file(STDOUT, scratch=tmp_path) as output:
        output.write_at(b"content", 0)
        with (
            pytest.raises(OutputError, match="write image: stdout: No space left on device"),
            _full_stdout(),
        ):
            output.commit()
