"""Opening images of every dialect, and refusing what is none."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rootrun.errors import ImageError
from rootrun.image.reference import ImageReference, Transport, parse_image_reference
from rootrun.image.source import Image, open_image, open_layer
from tests.image.writing import opened
from tests.support.image_check import sha256
from tests.support.images import (
    Style,
    compressed,
    docker_archive,
    docker_members,
    image_content,
    oci_archive,
    oci_layout,
    outer_tar,
)
from tests.support.tarball import file, tarball

LAYERS = [tarball(file("a", b"1")), tarball(file("b", b"2"))]
STYLES: list[Style] = ["old", "25", "skopeo", "podman", "dockertools", "v1-only"]


def _content(image: Image) -> list[bytes]:
    contents = []
    for layer in image.layers:
        with open_layer(layer) as stream:
            contents.append(stream.read(1 << 20))
            stream.verify()
    return contents


@pytest.mark.parametrize("style", STYLES)
def test_every_dialect_of_docker_archives_is_read(style: Style, tmp_path: Path) -> None:
    """AC6, AC56: what the writers have in common is what counts."""
    path = docker_archive(tmp_path / "a.tar", LAYERS, style=style, config={"Env": ["A=1"]})
    reference = parse_image_reference(os.fspath(path))
    with open_image(reference, ref=None, architecture=None, scratch=lambda: tmp_path) as image:
        assert _content(image) == LAYERS
        assert image.config.env == ("A=1",)
        assert image.names == ("base:latest",)
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "bzip2", "xz"])
@pytest.mark.parametrize("dialect", ["docker", "oci-archive", "oci"])
def test_every_compression_of_layers_is_read(
    dialect: str, compression: str, tmp_path: Path
) -> None:
    path = tmp_path / "image"
    if dialect == "docker":
        docker_archive(path, LAYERS, compression=compression)
    elif dialect == "oci":
        oci_layout(path, LAYERS, compression=compression)
    else:
        oci_archive(path, LAYERS, compression=compression)
    image = opened(path)
    assert _content(image) == LAYERS
    assert {layer.compression.value for layer in image.layers} == {compression}


@pytest.mark.parametrize("compression", ["gzip", "zstd", "bzip2", "xz"])
def test_archive_that_is_compressed_as_a_whole_is_read(compression: str, tmp_path: Path) -> None:
    plain = docker_archive(tmp_path / "plain.tar", LAYERS)
    packed = tmp_path / "packed"
    packed.write_bytes(compressed(plain.read_bytes(), compression))
    reference = ImageReference(transport=Transport.SNIFF, path=packed)
    with open_image(reference, ref=None, architecture=None, scratch=lambda: tmp_path) as image:
        assert _content(image) == LAYERS
    assert sorted(os.listdir(tmp_path)) == ["packed", "plain.tar"]


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_image_is_read_from_stdin(compression: str, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar", LAYERS)
    source = (
        "import sys, pathlib\n"
        "from rootrun.image.source import open_image, open_layer\n"
        "from rootrun.image.reference import parse_image_reference as parse\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "with open_image(parse('-'), ref=None, architecture=None, scratch=lambda: here) as image:\n"
        "    print(image.config_digest, len(image.layers))\n"
    )
    argv = [sys.executable, "-c", source, os.fspath(tmp_path)]
    stdin = compressed(path.read_bytes(), compression)
    finished = subprocess.run(argv, input=stdin, capture_output=True, check=True)
    assert finished.stdout.decode().split() == [opened(path).config_digest, "2"]
    assert os.listdir(tmp_path) == ["a.tar"]


def test_nothing_is_an_image_without_layers(tmp_path: Path) -> None:
    with open_image(None, ref=None, architecture="arm64", scratch=lambda: tmp_path) as image:
        assert image.layers == ()
        assert image.config.architecture == "arm64"
        assert image.config_digest == sha256(image.config_bytes)


def test_image_without_layers_is_read(tmp_path: Path) -> None:
    assert opened(docker_archive(tmp_path / "a.tar", [])).layers == ()


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_transport_decides_where_a_tar_has_both(transport: str, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar", LAYERS, style="25")
    image = opened(f"{transport}:{path}")
    assert image.names == (("base:latest",) if transport == "docker-archive" else ())


def test_member_names_may_begin_with_a_dot(tmp_path: Path) -> None:
    members = docker_members(image_content(LAYERS))
    path = tmp_path / "dots.tar"
    path.write_bytes(outer_tar({f"./{name}": content for name, content in members.items()}))
    assert _content(opened(path)) == LAYERS


@pytest.mark.parametrize("content", [b"", b"not a tar at all", bytes(1024), b"\x1f\x8b\x08 junk"])
def test_what_is_no_image_is_told_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "base"
    path.write_bytes(content)
    reference = ImageReference(transport=Transport.SNIFF, path=path)
    with (
        pytest.raises(ImageError, match=re.escape(f"read image: {path}: ")) as raised,
        open_image(reference, ref=None, architecture=None, scratch=lambda: tmp_path),
    ):
        pass
    assert "\n" not in str(raised.value)
    assert os.listdir(tmp_path) == ["base"]


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive", "any"])
def test_tar_of_something_else_is_told_with_what_is_missing(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_bytes(tarball(file("etc/passwd", b"root")))
    text = os.fspath(path) if kind == "any" else f"{kind}:{path}"
    wanted = {"docker-archive": "no manifest.json or repositories", "oci-archive": "no index.json"}
    with pytest.raises(ImageError, match=wanted.get(kind, "no index.json, manifest.json or")):
        opened(text)


@pytest.mark.parametrize("cut", [100, 600, 3000])
def test_truncated_archive_is_refused(cut: int, tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar", LAYERS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ImageError, match=r"read image: .*/a.tar: "):
        opened(path)


@pytest.mark.parametrize("name", ["missing", "directory", "fifo", "device"])
def test_path_that_cannot_be_an_image_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    path = Path("/dev/null") if name == "device" else tmp_path / name
    why = {
        "missing": "No such file or directory",
        "directory": "not an OCI layout: no oci-layout in it",
    }
    expected = re.escape(f"read image: {path}: {why.get(name, 'not a regular file')}")
    with pytest.raises(ImageError, match=expected):
        opened(path)


def test_compression_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.lz4"
    path.write_bytes(b"\x04\x22\x4d\x18" + bytes(600))
    with pytest.raises(ImageError, match="compressed with lz4, which rootrun does not read"):
        opened(path)


def test_image_of_a_registry_must_have_been_fetched(tmp_path: Path) -> None:
    reference = parse_image_reference(f"docker://alpine@sha256:{'0' * 64}")
    with (
        pytest.raises(ValueError, match="not fetched yet"),
        open_image(reference, ref=None, architecture=None, scratch=lambda: tmp_path),
    ):
        pass


def test_manifest_that_points_outside_never_reads_the_host(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b'{"rootfs":{"type":"layers","diff_ids":[]}}')
    entry = {"Config": os.fspath(secret), "RepoTags": [], "Layers": [f"..{secret}"]}
    path = tmp_path / "a.tar"
    path.write_bytes(outer_tar({"manifest.json": json.dumps([entry]).encode()}))
    with pytest.raises(ImageError, match="missing"):
        opened(path)
