"""What skopeo refuses, rootrun refuses too: the images that are no images to anybody."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rootrun.errors import RootrunError
from rootrun.image.source import open_layer
from tests.image.writing import opened
from tests.support.images import JsonObject, docker_archive, docker_members, dumped, outer_tar
from tests.support.images import image_content as content_of
from tests.support.require import require_program
from tests.support.tarball import file, tarball

pytestmark = pytest.mark.peers

LAYERS = [tarball(file("a", b"1")), tarball(file("b", b"2"))]


def _config(**changes: object) -> Callable[[Path], Path]:
    return lambda path: docker_archive(path, LAYERS, image=changes)


def _entry(**changes: object) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        members = docker_members(content_of(LAYERS))
        (entry,) = json.loads(members["manifest.json"])
        path.write_bytes(outer_tar(members | {"manifest.json": dumped([entry | changes])}))
        return path

    return write


def _manifest(content: bytes) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(outer_tar(docker_members(content_of(LAYERS)) | {"manifest.json": content}))
        return path

    return write


def _rootfs(**changes: object) -> JsonObject:
    diff_ids = content_of(LAYERS).diff_ids
    return {"rootfs": {"type": "layers", "diff_ids": diff_ids} | changes}


REFUSED: dict[str, Callable[[Path], Path]] = {
    "null": _manifest(b"null"),
    "no image": _manifest(b"[]"),
    "deep": _manifest(b"[" * 20_000 + b"]" * 20_000),
    "large": _manifest(b" " * (2 << 20) + b"[]"),
    "object": _manifest(b"{}"),
    "number for a name": _entry(RepoTags=[5]),
    "config that is not there": _entry(Config="gone"),
    "layer that is not there": _entry(Layers=["gone", "gone"]),
    "layer too few": _entry(Layers=[]),
    "path of the host": _entry(Config="/etc/hostname"),
    "climbing path": _entry(Layers=["../../../../etc/hostname"] * 2),
    "no rootfs": _config(rootfs=None),
    "digests that are none": _config(**_rootfs(diff_ids=["x", "y"])),
    "one digest": _config(**_rootfs(diff_ids=content_of(LAYERS).diff_ids[:1])),
    "text for the history": _config(history="x"),
    "text for the configuration": _config(config="x"),
    "text for empty_layer": _config(history=[{"empty_layer": "no"}, {}]),
    "wrong digest": _config(**_rootfs(diff_ids=[f"sha256:{digit * 64}" for digit in "01"])),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_skopeo_refuses_is_refused(case: str, tmp_path: Path) -> None:
    path = REFUSED[case](tmp_path / "a.tar")
    copy: list[str | Path] = [require_program("skopeo"), "--insecure-policy", "copy"]
    argv = [*copy, f"docker-archive:{path}", f"oci:{tmp_path}/copy:x"]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode != 0
    with pytest.raises(RootrunError):
        _read(path)


def _read(path: Path) -> None:
    for layer in opened(path).layers:
        with open_layer(layer) as stream:
            stream.verify()
