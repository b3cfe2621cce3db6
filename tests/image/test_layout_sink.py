"""OCI layout directories as written: linked blobs, and images added to a layout."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rootrun.errors import OutputError
from rootrun.image.reference import parse_output_reference
from rootrun.image.sink import open_sink
from tests.image.writing import NEW_LAYER, opened, write_image
from tests.support.image_check import assert_image_valid
from tests.support.images import digest, oci_layout
from tests.support.require import require_program
from tests.support.tarball import file, tarball

LAYERS = [tarball(file("a", b"1")), tarball(file("b", b"2"))]


def _blob(layout: Path, content: bytes) -> Path:
    return layout / "blobs" / digest(content).replace(":", "/")


def _index(layout: Path) -> list[dict[str, object]]:
    manifests = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert isinstance(manifests, list)
    return manifests


def test_blobs_of_the_base_are_hard_links(tmp_path: Path) -> None:
    base = oci_layout(tmp_path / "base", LAYERS)
    write_image(base, f"oci:{tmp_path}/out")
    for layer in LAYERS:
        assert _blob(tmp_path / "out", layer).samefile(_blob(base, layer))


WRITE = "from tests.image.writing import write_image; write_image('base', 'oci:out')"


def test_linked_blobs_are_brought_to_the_disk_too(tmp_path: Path) -> None:
    """Who made the other name may not have done so yet."""
    require_program("strace")
    oci_layout(tmp_path / "base", LAYERS)
    trace = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-y", "-e", "trace=fsync", "-o", trace, sys.executable, "-c", WRITE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])},
        check=True,
    )
    synced = trace.read_text()
    for content in (*LAYERS, NEW_LAYER):
        assert digest(content).partition(":")[2] in synced


@pytest.mark.parametrize("mode", [0o600, 0o666], ids=oct)
def test_blob_that_others_can_write_or_not_read_is_copied(tmp_path: Path, mode: int) -> None:
    base = oci_layout(tmp_path / "base", LAYERS)
    _blob(base, LAYERS[0]).chmod(mode)
    write_image(base, f"oci:{tmp_path}/out")
    copy = _blob(tmp_path / "out", LAYERS[0])
    assert not copy.samefile(_blob(base, LAYERS[0]))
    assert copy.stat().st_mode & 0o777 == 0o644


def test_image_joins_the_others_of_a_layout(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "layout", LAYERS, ref="base")
    write_image(layout, f"oci:{layout}:derived")
    refs = [entry["annotations"] for entry in _index(layout)]
    assert refs[0] == {"org.opencontainers.image.ref.name": "base"}
    assert len(opened(layout, ref="derived").layers) == 3
    assert len(opened(layout, ref="base").layers) == 2
    assert sorted(os.listdir(layout)) == ["blobs", "index.json", "oci-layout"]
    assert_image_valid(layout)


def test_image_of_the_same_ref_is_replaced(tmp_path: Path) -> None:
    write_image(None, f"oci:{tmp_path}/out:x")
    write_image(None, f"oci:{tmp_path}/out:x", layers=[LAYERS[0]])
    assert len(_index(tmp_path / "out")) == 1
    assert assert_image_valid(tmp_path / "out").layers == [LAYERS[0]]


def test_what_the_layout_says_besides_stays(tmp_path: Path) -> None:
    layout = oci_layout(tmp_path / "out", LAYERS)
    index = json.loads((layout / "index.json").read_bytes()) | {"annotations": {"a": "b"}}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "notes").write_text("mine")
    write_image(None, f"oci:{layout}:new")
    assert json.loads((layout / "index.json").read_bytes())["annotations"] == {"a": "b"}
    assert (layout / "notes").read_text() == "mine"


def test_damaged_blob_in_the_target_is_replaced(tmp_path: Path) -> None:
    base = oci_layout(tmp_path / "base", LAYERS)
    target = oci_layout(tmp_path / "out", LAYERS, ref="old")
    damaged = _blob(target, LAYERS[1])
    damaged.write_bytes(bytes(len(LAYERS[1])))
    write_image(base, f"oci:{target}:new")
    assert damaged.read_bytes() == LAYERS[1]


def test_good_blob_in_the_target_is_kept(tmp_path: Path) -> None:
    base = oci_layout(tmp_path / "base", LAYERS)
    target = oci_layout(tmp_path / "out", LAYERS, ref="old")
    before = _blob(target, LAYERS[1]).stat().st_ino
    write_image(base, f"oci:{target}:new")
    assert _blob(target, LAYERS[1]).stat().st_ino == before


def test_empty_directory_becomes_a_layout(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_image(None, f"oci:{tmp_path}/out")
    assert assert_image_valid(tmp_path / "out").layers == [NEW_LAYER]


@pytest.mark.parametrize("content", ["file", "directory-with-files", "broken-index"])
def test_what_is_no_layout_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    target = tmp_path / "out"
    if content == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    if content == "broken-index":
        (target / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        (target / "index.json").write_text("[")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with (
        pytest.raises(OutputError, match=r"write image: .*/out: "),
        open_sink(parse_output_reference(f"oci:{target}"), base=(), scratch=tmp_path),
    ):
        pass
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_name_that_was_taken_meanwhile_is_an_error(tmp_path: Path) -> None:
    output = parse_output_reference(f"oci:{tmp_path}/out")
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    with open_sink(output, base=(), scratch=tmp_path) as sink:
        sink.finish(config, names=())
        (tmp_path / "out/others").mkdir(parents=True)
        with pytest.raises(OutputError, match="Directory not empty"):
            sink.commit()
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("inside", [True, False], ids=["in the target", "beside it"])
def test_what_a_killed_run_left_is_removed_and_counts_for_nothing(
    inside: bool, tmp_path: Path
) -> None:
    base, target = oci_layout(tmp_path / "base", LAYERS), tmp_path / "out"
    dead = target / ".layout.0123abcd" if inside else tmp_path / ".out.0123abcd"
    (dead / "blobs" / "sha256").mkdir(parents=True)
    (dead / "blobs" / "sha256" / "part").write_bytes(b"x")
    os.utime(dead, (1, 1))
    write_image(base, f"oci:{target}")
    assert not dead.exists()
    assert_image_valid(target)


def test_what_a_living_run_works_in_is_left_alone(tmp_path: Path) -> None:
    base = oci_layout(tmp_path / "base", LAYERS)
    living = tmp_path / ".out.0123abcd"
    living.mkdir()
    descriptor = os.open(living, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.utime(living, (1, 1))
        write_image(base, f"oci:{tmp_path}/out")
        assert living.exists()
    finally:
        os.close(descriptor)
