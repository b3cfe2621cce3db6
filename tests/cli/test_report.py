"""The result reaches programs: standard output, and the files that were asked for."""

import json
import os
from base64 import b64decode
from pathlib import Path

import pytest

from rootrun.cli.report import print_result, to_json, write_result_files
from rootrun.dataclass import replace
from rootrun.errors import OutputError
from rootrun.image.digest import Digest
from rootrun.result import LayerResult, RunResult, Usage

_ID = Digest("sha256:" + "1" * 64)
_MANIFEST = Digest("sha256:" + "2" * 64)
_RESULT = RunResult(
    image_id=_ID,
    manifest_digest=_MANIFEST,
    name="localhost:5000/base-setup",
    tag="abc",
    output=Path("base-setup.tar"),
    layers=(LayerResult(diff_id=_ID, digest=_MANIFEST, size_bytes=2048, entry_count=3),),
    base_image_id=None,
    base_layer_count=0,
    id_map="single",
    rootfs="overlay",
    usage=Usage(wall_s=1.5, cpu_s=0.25, peak_memory_bytes=4096, process_count=3),
)


def test_stdout_is_the_image_id_alone(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(_RESULT, as_json=False)
    assert capsys.readouterr().out == f"{_ID}\n"


def test_json_is_one_object_with_the_documented_keys(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(_RESULT, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "imageId": _ID,
        "imageName": "localhost:5000/base-setup",
        "imageTag": "abc",
        "manifestDigest": _MANIFEST,
        "layers": [
            {
                "diffId": _ID,
                "digest": _MANIFEST,
                "sizeBytes": 2048,
                "entries": 3,
                "cached": False,
            }
        ],
        "base": {"imageId": None, "layers": 0},
        "output": "base-setup.tar",
        "idMap": "single",
        "rootfs": "overlay",
        "usage": {"wallSeconds": 1.5, "cpuSeconds": 0.25, "peakMemoryBytes": 4096, "processes": 3},
    }


def test_output_that_is_not_utf_8_is_there_in_base64_too() -> None:
    raw = b"a\xff.tar"
    value = to_json(replace(_RESULT, output=Path(os.fsdecode(raw))))
    assert value["output"] == "a\N{REPLACEMENT CHARACTER}.tar"
    assert b64decode(str(value["outputB64"])) == raw


def test_result_files_hold_what_buildah_and_buildctl_write(tmp_path: Path) -> None:
    iid, digest, metadata = (tmp_path / name for name in ("iid", "digest", "metadata"))
    write_result_files(_RESULT, iidfile=iid, digestfile=digest, metadata_file=metadata)
    assert iid.read_text() == _ID
    assert digest.read_text() == _MANIFEST
    assert json.loads(metadata.read_text()) == {
        "containerimage.digest": _MANIFEST,
        "containerimage.config.digest": _ID,
        "image.name": "localhost:5000/base-setup:abc",
    }


def test_metadata_of_a_docker_archive_has_no_manifest_digest(tmp_path: Path) -> None:
    result = replace(_RESULT, manifest_digest=None)
    file = tmp_path / "metadata"
    write_result_files(result, iidfile=None, digestfile=None, metadata_file=file)
    assert "containerimage.digest" not in json.loads(file.read_text())


def test_result_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"--iidfile: '.*': Is a directory"):
        write_result_files(_RESULT, iidfile=tmp_path, digestfile=None, metadata_file=None)
