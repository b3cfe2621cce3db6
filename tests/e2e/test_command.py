"""The command as a program meets it: what it prints and where, and what its options make."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.program import run_as
from tests.support.require import require_program
from tests.support.tarball import file, tarball
from tests.support.workplace import (
    Workplace,
    busybox_layer,
    config_of,
    layers_of,
    manifest_of,
    top_layer,
)

pytestmark = pytest.mark.userns


def ran(workplace: Workplace, *args: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run rootrun on a busybox, which must work."""
    base = workplace.path / "base.tar"
    if not base.exists():
        workplace.base()
    done = workplace.run("--from", "base.tar", *args)
    assert done.returncode == 0, done.stderr.decode()
    return done


@pytest.mark.parametrize("any_workplace", ["root", "subids", "single"], indirect=True)
def test_json_tells_all_of_a_docker_archive(any_workplace: Workplace) -> None:
    done = ran(any_workplace, "--json", "-o", "o.tar", "-t", "a/b:1", "--", "touch", "/x")
    told = json.loads(done.stdout)
    output = any_workplace.path / "o.tar"
    assert told["imageId"] == f"sha256:{str(manifest_of(output)['Config']).partition('.')[0]}"
    assert (told["imageName"], told["imageTag"], told["output"]) == ("a/b", "1", "o.tar")
    assert told["manifestDigest"] is None
    (layer,) = told["layers"]
    assert layer["diffId"] == layer["digest"] == _diff_ids(output)[-1]
    assert (layer["sizeBytes"], layer["entries"]) == (len(layers_of(output)[-1]), 1)
    base = manifest_of(any_workplace.path / "base.tar")
    base_id = f"sha256:{str(base['Config']).partition('.')[0]}"
    assert told["base"] == {"imageId": base_id, "layers": 1}
    assert told["idMap"].partition("-")[0] == any_workplace.path.name
    assert told["rootfs"] == "overlay"
    assert set(told) == {
        *("imageId", "imageName", "imageTag", "manifestDigest", "layers", "base"),
        *("output", "idMap", "rootfs", "usage"),
    }


def test_json_tells_the_digests_of_a_compressed_oci_image(workplace: Workplace) -> None:
    args = ("--json", "-o", "oci:out:1", "--compression", "gzip", "--digestfile", "d")
    told = json.loads(ran(workplace, *args, "--", "touch", "/x").stdout)
    index = json.loads((workplace.path / "out" / "index.json").read_text())
    assert told["manifestDigest"] == index["manifests"][0]["digest"]
    assert (workplace.path / "d").read_text() == told["manifestDigest"]
    (layer,) = told["layers"]
    blob = workplace.path / "out" / "blobs" / "sha256" / layer["digest"].partition(":")[2]
    assert blob.stat().st_size == layer["sizeBytes"]
    assert layer["digest"] != layer["diffId"]


def test_stdout_is_the_id_and_the_files_agree(any_workplace: Workplace) -> None:
    files = ("--iidfile", "iid", "--metadata-file", "metadata")
    done = ran(any_workplace, *files, "-o", "o.tar", "-t", "n:1", "--", "echo", "said")
    output = any_workplace.path / "o.tar"
    image_id = f"sha256:{str(manifest_of(output)['Config']).partition('.')[0]}"
    assert done.stdout.decode() == f"{image_id}\n"
    assert (any_workplace.path / "iid").read_text() == image_id
    metadata = json.loads((any_workplace.path / "metadata").read_text())
    assert metadata == {"containerimage.config.digest": image_id, "image.name": "n:1"}
    owner = any_workplace.account.uid if any_workplace.account else 0
    assert {(any_workplace.path / f).stat().st_uid for f in ("o.tar", "iid", "metadata")} == {owner}


def test_each_level_of_verbosity_says_more(any_workplace: Workplace) -> None:
    told = {
        level: ran(any_workplace, *level, "-o", "o.tar", "--", "true").stderr.decode().splitlines()
        for level in [("-q",), (), ("-v",)]
    }
    assert told[("-q",)] == []
    assert [line.partition(": ")[2].partition(": ")[0] for line in told[()]] == [
        *("id map", "rootfs", "layer")
    ]
    assert all(line.startswith("rootrun: ") for line in told[("-v",)])
    assert any("mount" in line for line in told[("-v",)])
    assert set(told[()]) < set(told[("-v",)])


def test_keep_leaves_the_tree_of_a_failed_run_and_says_where(any_workplace: Workplace) -> None:
    scratch = any_workplace.path / "scratch"
    scratch.mkdir()
    any_workplace.own(scratch)
    any_workplace.base()
    args = ("--from", "base.tar", "--tmpdir", "scratch", "-o", "o.tar")
    script = ("--", "sh", "-c", "echo evidence > /evidence; exit 3")
    assert any_workplace.run(*args, *script).returncode == 3
    assert os.listdir(scratch) == []
    kept = any_workplace.run("--keep", *args, *script)
    (tree,) = scratch.iterdir()
    assert kept.returncode == 3
    assert os.fspath(tree) in kept.stderr.decode()
    assert [p.read_text() for p in tree.rglob("evidence")] == ["evidence\n"]
    assert any_workplace.run("--keep", *args, "--", "true").returncode == 0
    assert list(scratch.iterdir()) == [tree]


def test_default_file_and_image_are_called_after_base_and_script(workplace: Workplace) -> None:
    workplace.base("My Base.tar.gz")
    workplace.write("Set_Up.sh", "touch /x\n")
    done = workplace.run("--from", "My Base.tar.gz", "--script", "Set_Up.sh", "--tag", "t")
    assert done.returncode == 0, done.stderr.decode()
    output = workplace.path / "My Base-Set_Up.tar"
    assert manifest_of(output)["RepoTags"] == ["my-base-set-up:t"]


def test_output_may_be_the_base(any_workplace: Workplace) -> None:
    for name in ("one", "two"):
        ran(any_workplace, "-o", "base.tar", "--", "touch", f"/{name}")
    output = any_workplace.path / "base.tar"
    assert len(layers_of(output)) == 3
    assert list(top_layer(output)) == ["two"]


def test_layout_may_be_base_and_output(any_workplace: Workplace) -> None:
    ran(any_workplace, "-o", "oci:lay:1", "--", "touch", "/one")
    done = any_workplace.run("--from", "oci:lay:1", "-o", "oci:lay:2", "--", "touch", "/two")
    assert done.returncode == 0, done.stderr.decode()
    index = json.loads((any_workplace.path / "lay" / "index.json").read_text())
    names = [m["annotations"]["org.opencontainers.image.ref.name"] for m in index["manifests"]]
    assert names == ["1", "2"]


@pytest.mark.peers
@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive", "oci"])
def test_skopeo_of_an_ordinary_user_reads_each_output(
    transport: str, any_workplace: Workplace
) -> None:
    output = f"{transport}:out" + ("" if transport == "docker-archive" else ":1")
    ran(any_workplace, "-o", output, "--", "touch", "/x")
    argv: list[str | Path] = [require_program("skopeo"), "inspect", output]
    done = run_as(argv, account=any_workplace.account, cwd=any_workplace.path)
    assert done.returncode == 0, done.stderr.decode()
    assert len(json.loads(done.stdout)["Layers"]) == 2


def test_export_goes_to_stdout_in_each_compression(any_workplace: Workplace) -> None:
    any_workplace.base("base.tar", busybox_layer(), tarball(file("f", b"content", uid=33)))
    plain = any_workplace.run("export", "base.tar", "-o", "-")
    assert plain.returncode == 0, plain.stderr.decode()
    for compression, program in (("gzip", "gzip"), ("zstd", "zstd")):
        done = any_workplace.run("export", "base.tar", "--compression", compression, "-o", "-")
        argv = [program, "-dc"]
        unpacked = subprocess.run(argv, input=done.stdout, capture_output=True, check=True)
        assert unpacked.stdout == plain.stdout
    listing = subprocess.run(
        ["tar", "-tvf", "-", "f"], input=plain.stdout, capture_output=True, check=True
    )
    assert b" 33/" in listing.stdout


def test_cache_is_listed_verified_and_pruned_after_runs(any_workplace: Workplace) -> None:
    any_workplace.base("base.tar", busybox_layer(), tarball(file("f", mode=0o000)))
    ran(any_workplace, "--cache-dir", "c", "-o", "o.tar", "--", "true")

    def cache(action: str, *args: str) -> list[dict[str, object]]:
        done = any_workplace.run("cache", action, "--json", "--cache-dir", "c", *args)
        assert done.returncode == 0, done.stderr.decode()
        found = json.loads(done.stdout)["layers"]
        assert isinstance(found, list)
        return found

    diff_ids = set(_diff_ids(any_workplace.path / "base.tar"))
    assert {entry["diffId"] for entry in cache("list")} == diff_ids
    assert [entry["problem"] for entry in cache("verify")] == [None, None]
    assert cache("prune", "--unused-for", "1h") == []
    assert {entry["diffId"] for entry in cache("prune")} == diff_ids
    assert cache("list") == []
    ran(any_workplace, "--cache-dir", "c", "-o", "o.tar", "--", "true")


def test_damage_in_the_cache_is_found_and_mended(workplace: Workplace) -> None:
    ran(workplace, "--cache-dir", "c", "-o", "o.tar", "--", "true")
    before = (workplace.path / "o.tar").read_bytes()
    (cached,) = (workplace.path / "c").rglob("etc/passwd")
    with cached.open("ab") as passwd:
        passwd.write(b"evil::0:0::/:/bin/sh\n")
    found = workplace.run("cache", "verify", "--cache-dir", "c")
    assert found.returncode == 1
    assert workplace.run("cache", "verify", "--cache-dir", "c").returncode == 0
    ran(workplace, "--cache-dir", "c", "-o", "o.tar", "--", "true")
    assert (workplace.path / "o.tar").read_bytes() == before


def test_doctor_tells_each_caller_the_id_map_that_a_run_takes(any_workplace: Workplace) -> None:
    told = json.loads(any_workplace.run("doctor", "--json").stdout)
    used = json.loads(ran(any_workplace, "--json", "-o", "o.tar", "--", "true").stdout)
    assert told["works"] is True
    assert told["idMap"] == used["idMap"].partition("-")[0]
    text = any_workplace.run("doctor")
    assert text.returncode == 0
    assert f"Will be used: id map {told['idMap']} " in text.stdout.decode()
    has_advice = "usermod --add-subuids" in text.stdout.decode()
    assert has_advice == (told["idMap"] == "single")


def test_help_is_the_manual_as_text_where_it_is_piped(workplace: Workplace) -> None:
    done = workplace.shell("rootrun help | cat")
    assert done.returncode == 0
    text = done.stdout.decode()
    assert "\x1b" not in text
    assert "\b" not in text
    for section in ("NAME", "OPTIONS", "EXIT STATUS", "USER NAMESPACES", "REPRODUCIBILITY"):
        assert f"\n{section}\n" in text


def _diff_ids(archive: Path) -> list[str]:
    rootfs = config_of(archive)["rootfs"]
    assert isinstance(rootfs, dict)
    return list(rootfs["diff_ids"])
