"""What manifest.json says, and what is refused in it."""

import gzip
import json
import tarfile
import time
from pathlib import Path

import pytest

from rootrun.errors import ImageError
from rootrun.image.source import open_layer
from tests.image.writing import opened
from tests.support.images import (
    Style,
    docker_archive,
    docker_members,
    dumped,
    image_content,
    outer_tar,
)
from tests.support.tarball import Member, file, tarball

LAYERS = [tarball(file("a", b"1")), tarball(file("b", b"2"))]
CONTENT = image_content(LAYERS)


def _archive(path: Path, members: dict[str, bytes | str]) -> Path:
    path.write_bytes(outer_tar(members))
    return path


def _manifest(members: dict[str, bytes | str]) -> list[dict[str, object]]:
    content = members["manifest.json"]
    assert isinstance(content, bytes)
    entries = json.loads(content)
    assert isinstance(entries, list)
    return entries


@pytest.fixture
def several(tmp_path: Path) -> Path:
    other = image_content([tarball(file("other"))])
    members = docker_members(CONTENT, names=["one:1", "docker.io/library/uno:latest"])
    others = docker_members(other, names=["registry:5000/two:2"])
    entries = _manifest(members) + _manifest(others)
    merged = members | others | {"manifest.json": dumped(entries)}
    return _archive(tmp_path / "several.tar", merged)


@pytest.mark.parametrize(
    ("ref", "count"),
    [("one:1", 2), ("uno", 2), ("uno:latest", 2), ("registry:5000/two:2", 1), ("@1", 1)],
)
def test_one_of_several_images_is_picked_by_name(several: Path, ref: str, count: int) -> None:
    """AC55: dockerTools takes the first, whatever was asked for."""
    assert len(opened(several, ref=ref).layers) == count
    assert len(opened(f"docker-archive:{several}:{ref}").layers) == count


def test_several_images_are_listed_when_none_is_picked(several: Path) -> None:
    with pytest.raises(ImageError, match=r"2 images: one:1, .*registry:5000/two:2") as raised:
        opened(several)
    assert raised.value.hint == "pick one with --from-ref, as in --from-ref one:1"


def test_name_that_no_image_has_is_told_with_those_there_are(several: Path) -> None:
    with pytest.raises(ImageError, match="no image 'three:3'") as raised:
        opened(several, ref="three:3")
    assert "one:1" in (raised.value.hint or "")


@pytest.mark.parametrize("style", ["old", "skopeo", "25"])
def test_same_layer_listed_twice_is_two_layers(tmp_path: Path, style: Style) -> None:
    """AC15, also where both places lead to one member."""
    layers = [LAYERS[0], LAYERS[1], LAYERS[0]]
    image = opened(docker_archive(tmp_path / "a.tar", layers, style=style))
    assert len(image.layers) == 3
    assert image.layers[0].diff_id == image.layers[2].diff_id


def test_layer_that_is_a_symlink_to_a_member_is_followed(tmp_path: Path) -> None:
    members = docker_members(CONTENT, style="skopeo")
    entries = _manifest(members)
    entries[0]["Layers"] = [name for name in members if name.endswith("/layer.tar")]
    path = _archive(tmp_path / "a.tar", members | {"manifest.json": dumped(entries)})
    with open_layer(opened(path).layers[1]) as stream:
        stream.verify()
        assert stream.digest == CONTENT.diff_ids[1]


def test_files_of_the_first_format_that_lie_are_not_looked_at(tmp_path: Path) -> None:
    """moby image spec 1.2: where there is a manifest.json, it alone says what the image is."""
    lies: dict[str, bytes | str] = {"repositories": b"{", "x/json": b"{", "x/VERSION": b"9.9"}
    legacy = {
        name: b"lie" for name in docker_members(CONTENT) if name.endswith(("VERSION", "/json"))
    }
    members = docker_members(CONTENT) | lies | legacy
    assert len(opened(_archive(tmp_path / "a.tar", members)).layers) == 2


def test_member_given_twice_is_the_later_one(tmp_path: Path) -> None:
    """As tar -r leaves it, and docker load, which unpacks the archive, takes it."""
    stale = outer_tar({"manifest.json": b"[]"})[:1024]
    path = tmp_path / "a.tar"
    path.write_bytes(stale + outer_tar(docker_members(CONTENT)))
    assert len(opened(path).layers) == 2


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../etc/passwd", "loop"])
def test_symlink_that_leads_to_no_member_is_refused(tmp_path: Path, target: str) -> None:
    members: dict[str, bytes | str] = {"loop": "loop", **docker_members(CONTENT)}
    members |= {name: target for name in members if name.endswith("layer.tar")}
    with pytest.raises(ImageError, match=r"layer\.tar': missing"):
        opened(_archive(tmp_path / "a.tar", members))


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        (b"[", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"null", "want an array, got nothing"),
        (b"{}", "want an array, got an object"),
        (b"[]", "lists no image"),
        (b"[1]", "want an object, got a number"),
        (b'[{"Config":1}]', "Config: want a string, got a number"),
        (b'[{"Config":"x","Layers":"y"}]', "Layers: want an array, got a string"),
        (b'[{"Config":"x","Layers":[null]}]', "Layers: want a string, got nothing"),
        (b'[{"Layers":[]}]', "no Config"),
        (b'[{"Config":"x","Layers":[]}]', "'x': missing"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (1 << 20) + b"[]", "more than 1048576"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_manifest_is_told_in_one_line(tmp_path: Path, manifest: bytes, why: str) -> None:
    path = _archive(tmp_path / "a.tar", {"manifest.json": manifest})
    with pytest.raises(ImageError, match=why) as raised:
        opened(path)
    assert "\n" not in str(raised.value)


def test_number_of_layers_must_be_that_of_the_config(tmp_path: Path) -> None:
    members = docker_members(CONTENT)
    entries = _manifest(members)
    entries[0]["Layers"] = [*_list(entries[0]["Layers"]), "x/layer.tar"]
    members |= {"manifest.json": dumped(entries), "x/layer.tar": b""}
    with pytest.raises(ImageError, match="layers: 3 in the manifest, 2 in the config"):
        opened(_archive(tmp_path / "a.tar", members))


def test_missing_layer_is_named(tmp_path: Path) -> None:
    members = docker_members(CONTENT)
    gone = next(name for name in members if name.endswith("layer.tar"))
    del members[gone]
    with pytest.raises(ImageError, match=f"'{gone}': missing"):
        opened(_archive(tmp_path / "a.tar", members))


@pytest.mark.parametrize(
    "repositories",
    [b"{}", b'{"a":{}}', b'{"a":1}', b"[", b'{"a":{"b":null}}', b'{"a":{"b":""}}'],
)
def test_bad_first_format_is_told(tmp_path: Path, repositories: bytes) -> None:
    with pytest.raises(ImageError, match=r"read image: .*repositories"):
        opened(_archive(tmp_path / "a.tar", {"repositories": repositories}))


def test_first_format_with_a_loop_of_parents_ends(tmp_path: Path) -> None:
    members: dict[str, bytes | str] = {
        "repositories": b'{"a":{"b":"x"}}',
        "x/json": b'{"id":"x","parent":"x"}',
    }
    with pytest.raises(ImageError, match="more parents than can be"):
        opened(_archive(tmp_path / "a.tar", members))


def test_first_format_whose_documents_are_large_together_is_refused(tmp_path: Path) -> None:
    padding = "x" * (1 << 20)
    members: dict[str, bytes | str] = {"repositories": b'{"a":{"b":"5"}}'}
    for number in range(1, 6):
        document = {"parent": str(number - 1) if number > 1 else "", "padding": padding}
        members[f"{number}/json"] = dumped(document)
        members[f"{number}/layer.tar"] = LAYERS[0]
    with pytest.raises(ImageError, match=r"json: [0-9]+ bytes, more than [0-9]+"):
        opened(_archive(tmp_path / "a.tar", members))


def test_first_format_whose_layers_are_one_member_reads_it_once(tmp_path: Path) -> None:
    layer = gzip.compress(tarball(file("zeros", bytes(8 << 20))), 1)
    members: dict[str, bytes | str] = {"repositories": b'{"a":{"b":"499"}}', "layer": layer}
    for number in range(500):
        parent = str(number - 1) if number else ""
        members[f"{number}/json"] = dumped({"parent": parent, "os": "linux"})
        members[f"{number}/layer.tar"] = "../layer"
    path = _archive(tmp_path / "a.tar", members)
    started = time.process_time()
    assert len(set(opened(path).config.diff_ids)) == 1
    assert time.process_time() - started < 1


@pytest.mark.parametrize("flag", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
@pytest.mark.parametrize("which", ["manifest.json", "config", "layer"])
def test_member_that_is_a_fifo_or_a_device_is_refused(
    tmp_path: Path, which: str, flag: bytes
) -> None:
    members = docker_members(image_content([LAYERS[0]]))
    entry = _manifest(members)[0]
    layer = str(_list(entry["Layers"])[0])
    name = {"config": str(entry["Config"]), "layer": layer}.get(which, which)
    odd = Member(tarfile.TarInfo(name))
    odd.header.type = flag
    path = tmp_path / "a.tar"
    others = {other: content for other, content in members.items() if other != name}
    path.write_bytes(tarball(odd, outer_tar(others), end=b""))
    with pytest.raises(ImageError, match="not a regular file"):
        opened(path)


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value
