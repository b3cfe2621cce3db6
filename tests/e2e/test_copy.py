"""Content of the host in an image, by the whole program."""

import gzip
import os

import pytest

from tests.support.tarball import directory, file, symlink, tarball, whiteout
from tests.support.workplace import Workplace, busybox_layer, content_of, top_layer

pytestmark = pytest.mark.userns


def copied(workplace: Workplace, *args: str) -> list[str]:
    """Return the names in the layer of a run that only copies."""
    workplace.base("merged.tar", busybox_layer(directory("usr/lib"), symlink("lib", "usr/lib")))
    options = ("--from", "merged.tar", "-o", "o.tar", *workplace.options)
    done = workplace.run(*options, *args)
    assert done.returncode == 0, done.stderr.decode()
    return list(top_layer(workplace.path / "o.tar"))


def test_a_tar_makes_a_layer_as_it_would_in_a_directory(any_workplace: Workplace) -> None:
    content = tarball(directory("lib"), file("lib/x", b"x", uid=5, mode=0o600), symlink("l", "lib"))
    any_workplace.write("content.tgz", gzip.compress(content))
    (any_workplace.path / "tree" / "lib").mkdir(parents=True)
    any_workplace.write("tree/lib/x", "x", mode=0o600)
    os.symlink("lib", any_workplace.path / "tree" / "l")
    for place in ("tree", "tree/lib"):
        any_workplace.own(any_workplace.path / place)
    names = copied(any_workplace, "--copy", "content.tgz")
    assert names == ["l", "usr/", "usr/lib/", "usr/lib/x"]
    made = (any_workplace.path / "o.tar").read_bytes()
    options = ("--name", "content", "--config", "{}")
    of_tar = copied(any_workplace, "--copy", "content.tgz", *options)
    assert copied(any_workplace, "--copy", "tree", *options) == of_tar == names
    entry = top_layer(any_workplace.path / "o.tar")["usr/lib/x"]
    assert (entry.uid, entry.gid, entry.mode, entry.mtime) == (0, 0, 0o600, 1)
    assert copied(any_workplace, "--copy", "content.tgz") == names
    assert (any_workplace.path / "o.tar").read_bytes() == made


def test_a_tar_for_a_place_without_a_slash_is_a_file(workplace: Workplace) -> None:
    content = tarball(file("x"))
    workplace.write("t.tar", content)
    assert copied(workplace, "--copy", "t.tar:/opt/t.tar") == ["opt/", "opt/t.tar"]
    assert content_of(workplace.path / "o.tar", "opt/t.tar") == content


def test_linked_directories_are_copied_if_asked(workplace: Workplace) -> None:
    (workplace.path / "tree").mkdir()
    (workplace.path / "outside").mkdir()
    workplace.write("outside/x", "x")
    os.symlink("../outside", workplace.path / "tree" / "d")
    assert copied(workplace, "--copy", "tree") == ["d"]
    assert copied(workplace, "--copy", "tree", "--copy-dirlinks") == ["d/", "d/x"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (tarball(whiteout("bin")), "'.wh.bin': a whiteout: the tar is a layer of an image"),
        (tarball(file("../x")), "unpack layer: '../x': leaves the rootfs"),
    ],
    ids=["whiteout", "leaves"],
)
def test_a_tar_that_is_refused_is_one_line(content: bytes, why: str, workplace: Workplace) -> None:
    workplace.base()
    workplace.write("t.tar", content)
    done = workplace.run("-q", "--from", "base.tar", "--copy", "t.tar", "-o", "o.tar")
    assert done.returncode == 125
    assert done.stderr.decode() == f"rootrun: error: --copy: 't.tar': {why}\n"
    assert not (workplace.path / "o.tar").exists()


def test_what_a_tar_holds_is_an_input_of_the_step(workplace: Workplace) -> None:
    args = ("--step-cache", "-v", "--copy", "t.tar:/opt/", "--", "true")
    for content in (b"1", b"2"):
        workplace.write("t.tar", tarball(file("x", content)))
        copied(workplace, *args)
        assert content_of(workplace.path / "o.tar", "opt/x") == content
