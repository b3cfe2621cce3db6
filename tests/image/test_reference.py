"""References, names and tags."""

from pathlib import Path

import pytest

from rootrun.errors import UsageError
from rootrun.image.reference import (
    Transport,
    name_from_stems,
    parse_image_reference,
    parse_name,
    parse_output_reference,
    parse_tag,
    reference_stem,
    same_image_name,
)

PINNED = "docker://registry:5000/a/b@sha256:" + "0" * 64


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "transport", "path", "ref"),
    [
        ("base.tar", "", "base.tar", None),
        ("-", "", "-", None),
        ("./odd:name.tar", "", "./odd:name.tar", None),
        ("C:\\base.tar", "", "C:\\base.tar", None),
        ("docker-archive:base.tar", "docker-archive", "base.tar", None),
        ("docker-archive:base.tar:a/b:1", "docker-archive", "base.tar", "a/b:1"),
        ("oci-archive:/x/y.tar:v1", "oci-archive", "/x/y.tar", "v1"),
        ("oci:dir", "oci", "dir", None),
        ("oci:dir:", "oci", "dir", None),
        ("docker-archive:-", "docker-archive", "-", None),
    ],
)
def test_reference_is_split_as_skopeo_does(
    text: str, transport: str, path: str, ref: str | None
) -> None:
    reference = parse_image_reference(text)
    assert reference.transport is Transport(transport)
    assert (reference.path, reference.ref) == (Path(path), ref)


@pytest.mark.parametrize("name", ["oci:x", "docker-archive:x", "a:b", "dir:x"])
def test_path_that_exists_is_taken_whole(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    reference = parse_image_reference(name)
    assert (reference.transport, reference.path) == (Transport.SNIFF, Path(name))


def test_longest_path_that_exists_wins(tmp_path: Path) -> None:
    (tmp_path / "a:b").touch()
    reference = parse_image_reference("oci:a:b:c")
    assert (reference.path, reference.ref) == (Path("a:b"), "c")


def test_image_of_a_registry_is_named_by_its_digest() -> None:
    reference = parse_image_reference(PINNED)
    assert (reference.transport, reference.name) == (Transport.DOCKER, PINNED[len("docker:") :])


@pytest.mark.parametrize(
    "text", ["", "docker://alpine", "docker://alpine:3", "docker-daemon:a:b", "oci:", "oci::x"]
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_image_reference(text)


@pytest.mark.parametrize(
    ("text", "transport", "path", "ref"),
    [
        ("out.tar", "docker-archive", "out.tar", None),
        ("-", "docker-archive", "-", None),
        ("oci-archive:out.tar:v1", "oci-archive", "out.tar", "v1"),
        ("oci:dir:v1", "oci", "dir", "v1"),
        ("oci-archive:-", "oci-archive", "-", None),
    ],
)
def test_output_is_a_docker_archive_unless_said(
    text: str, transport: str, path: str, ref: str | None
) -> None:
    output = parse_output_reference(text)
    assert (output.transport, output.path, output.ref) == (Transport(transport), Path(path), ref)


@pytest.mark.parametrize("text", ["", PINNED, "oci:-", "dir:x"])
def test_output_that_cannot_be_written_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_output_reference(text)


@pytest.mark.parametrize(
    "name",
    [
        "base",
        "a/b/c",
        "localhost:5000/a/b",
        "registry-1.docker.io/image",
        "a__b/c.d-e--f",
        "[::1]:5000/x",
    ],
)
def test_name_may_have_a_registry(name: str) -> None:
    """AC24."""
    assert parse_name(name) == name


def test_name_is_lowered() -> None:
    """AC8: docker takes no upper case."""
    assert parse_name("Registry:5000/My/Image") == "registry:5000/my/image"


@pytest.mark.parametrize(
    "name", ["", "a:b", "-a", "a/", "/a", "a//b", "a b", "a@b", "ä", "a\n", "a" * 256, "a___b"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="image name: "):
        parse_name(name)


@pytest.mark.parametrize("tag", ["v1", "A_b.c-d", "1" * 128, "_"])
def test_tag_is_taken(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a:b", "a/b", "1" * 129, "a\n", "é"])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(UsageError, match="image tag: "):
        parse_tag(tag)


@pytest.mark.parametrize(
    ("base", "script", "name"),
    [
        ("base.tar", "setup.sh", "base-setup"),
        ("/x/Debian_12.tar.gz", "install everything.bash", "debian-12-install-everything"),
        (None, "setup.sh", "setup"),
        (None, None, "image"),
        ("....", "ä", "image"),
        ("x" * 400, None, "x" * 255),
    ],
)
def test_default_name_comes_from_the_files(base: str | None, script: str | None, name: str) -> None:
    assert name_from_stems(base, script) == name
    assert parse_name(name) == name


@pytest.mark.parametrize(
    ("text", "stem"),
    [("x/base.tar.zst", "base"), ("-", None), (PINNED, "b"), ("oci:dir/", "dir")],
)
def test_stem_of_a_reference(text: str, stem: str | None) -> None:
    assert reference_stem(parse_image_reference(text)) == stem


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("busybox", "docker.io/library/busybox:latest", True),
        ("a/b:1", "docker.io/a/b:1", True),
        ("localhost/a:1", "a:1", True),
        ("quay.io/a:1", "a:1", False),
        ("a:1", "a:2", False),
    ],
)
def test_short_names_mean_the_long_ones(one: str, other: str, same: bool) -> None:
    assert same_image_name(one, other) is same
