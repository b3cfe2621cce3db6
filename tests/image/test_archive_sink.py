"""The docker-archive as written: members, first-format files, names."""

import json
import tarfile
from pathlib import Path

from tests.image.writing import NEW_LAYER, write_image
from tests.support.image_check import assert_image_valid
from tests.support.images import digest, docker_archive
from tests.support.tarball import file, tarball

LAYERS = [tarball(file("a", b"1")), tarball(file("b", b"2"))]


def _members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as archive:
        return {member.name: member for member in archive}


def _content(path: Path, name: str) -> bytes:
    with tarfile.open(path) as archive:
        found = archive.extractfile(name)
        assert found is not None
        return found.read()


def test_layers_come_first_and_the_manifest_near_the_end(tmp_path: Path) -> None:
    base = docker_archive(tmp_path / "base.tar", LAYERS)
    write_image(base, tmp_path / "out.tar")
    names = list(_members(tmp_path / "out.tar"))
    assert [name.rpartition("/")[2] for name in names[:3]] == ["layer.tar"] * 3
    assert names[-2:] == ["manifest.json", "repositories"]


def test_members_belong_to_root_and_to_no_day(tmp_path: Path) -> None:
    write_image(docker_archive(tmp_path / "base.tar", LAYERS), tmp_path / "out.tar")
    for member in _members(tmp_path / "out.tar").values():
        assert (member.uid, member.gid, member.mtime, member.mode) == (0, 0, 1, 0o644)


def test_first_format_tells_parents_and_the_command(tmp_path: Path) -> None:
    base = docker_archive(tmp_path / "base.tar", LAYERS, config={"Cmd": ["/bin/sh"]})
    write_image(base, tmp_path / "out.tar")
    out = tmp_path / "out.tar"
    top = json.loads(_content(out, "repositories"))["registry:5000/team/new"]["v1"]
    document = json.loads(_content(out, f"{top}/json"))
    assert document["config"]["Cmd"] == ["/bin/sh"]
    assert _content(out, f"{top}/layer.tar") == NEW_LAYER
    assert set(json.loads(_content(out, f"{document['parent']}/json"))) == {
        "id",
        "parent",
        "created",
    }


def test_ids_of_the_first_format_are_chain_ids(tmp_path: Path) -> None:
    """config.md, Layer ChainID: ``Digest(ChainID + " " + DiffID)``, from the bottom."""
    out = tmp_path / "out.tar"
    write_image(docker_archive(tmp_path / "base.tar", LAYERS), out)
    chain = digest(LAYERS[0])
    wanted = [chain]
    for layer in (LAYERS[1], NEW_LAYER):
        chain = digest(f"{chain} {digest(layer)}".encode())
        wanted.append(chain)
    (entry,) = json.loads(_content(out, "manifest.json"))
    assert [f"sha256:{name.removesuffix('/layer.tar')}" for name in entry["Layers"]] == wanted


def test_second_place_of_a_layer_is_a_symlink(tmp_path: Path) -> None:
    base = docker_archive(tmp_path / "base.tar", [LAYERS[0], LAYERS[1], LAYERS[0]])
    write_image(base, tmp_path / "out.tar")
    links = [member for member in _members(tmp_path / "out.tar").values() if member.issym()]
    manifest = json.loads(_content(tmp_path / "out.tar", "manifest.json"))
    (link,) = links
    assert link.linkname == f"../{manifest[0]['Layers'][0]}"
    assert manifest[0]["Layers"][2] == manifest[0]["Layers"][0]


def test_reader_of_the_first_format_alone_can_rebuild_the_image(tmp_path: Path) -> None:
    """AC38: what is left without manifest.json and configuration is an image still."""
    base = docker_archive(tmp_path / "base.tar", LAYERS, config={"Env": ["A=1"]})
    write_image(base, tmp_path / "out.tar")
    with (
        tarfile.open(tmp_path / "out.tar") as archive,
        tarfile.open(tmp_path / "v1.tar", "w") as first_format,
    ):
        for member in archive:
            if not member.name.endswith(".json"):
                first_format.addfile(member, archive.extractfile(member))
    write_image(tmp_path / "v1.tar", tmp_path / "again.tar", layers=())
    image = assert_image_valid(tmp_path / "again.tar")
    assert image.layers == [*LAYERS, NEW_LAYER]
    assert image.config["config"] == {"Env": ["A=1"]}
