"""Bad input: one clear line, status 125, no output, nothing left behind."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.images import docker_archive, oci_layout
from tests.support.tarball import file, symlink, tarball
from tests.support.workplace import Workplace, busybox_layer

pytestmark = pytest.mark.userns

Spoil = Callable[[Path], object]


def refused(
    workplace: Workplace, *args: str | Path, status: int = 125, env: dict[str, str] | None = None
) -> str:
    """Run with ``args``, which must fail as every failure has to; return the error line."""
    scratch = workplace.path / "scratch"
    scratch.mkdir(exist_ok=True)
    workplace.own(scratch)
    workplace.write("setup.sh", "echo > /x\n")
    before = sorted(os.listdir(workplace.path))
    done = workplace.run(
        *("--script", "setup.sh", "--tmpdir", scratch, "-o", "out.tar", *args), env=env
    )
    errors = done.stderr.decode()
    assert done.returncode == status, errors
    assert "Traceback" not in errors
    assert done.stdout == b""
    assert os.listdir(scratch) == []
    assert sorted(os.listdir(workplace.path)) == before
    lines = [line for line in errors.splitlines() if line.startswith("rootrun: error: ")]
    assert len(lines) == 1, errors
    assert errors.count("rootrun: hint: ") <= 1
    return lines[0]


def garble(path: Path, offset: int = -700) -> None:
    """Flip a byte of the file, counted from the end where negative."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)


def test_a_missing_image_is_told(workplace: Workplace) -> None:
    assert "nowhere.tar: No such file or directory" in refused(workplace, "--from", "nowhere.tar")


NO_IMAGES = {
    "text": b"hello, this is no image\n" * 100,
    "empty": b"",
    "a tar of something": tarball(file("hello", b"x")),
    "gzip of nothing": b"\x1f\x8b\x08\x00\x00",
    "truncated zstd": b"\x28\xb5\x2f\xfd\x04",
}


@pytest.mark.parametrize("case", NO_IMAGES)
def test_what_is_no_image_is_told(case: str, workplace: Workplace) -> None:
    workplace.write("no-image", NO_IMAGES[case])
    assert "no-image" in refused(workplace, "--from", "no-image")


def test_a_truncated_archive_is_told(workplace: Workplace) -> None:
    base = workplace.base()
    base.write_bytes(base.read_bytes()[:100_000])
    assert "read image: " in refused(workplace, "--from", base)


def test_ac56_a_wrong_diff_id_names_the_layer_and_both_digests(workplace: Workplace) -> None:
    layers = [busybox_layer(), tarball(file("x", b"right"))]
    wrong = [f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"]
    image = {"rootfs": {"type": "layers", "diff_ids": wrong}}
    base = workplace.own(docker_archive(workplace.path / "base.tar", layers, image=image))
    line = refused(workplace, "--from", base)
    assert "layer 1 of 2: diff_id: want sha256:0000" in line
    assert line.count("sha256:") == 2


@pytest.mark.parametrize("kind", ["config", "manifest", "layer"])
def test_each_corrupt_blob_of_a_layout_is_refused(kind: str, workplace: Workplace) -> None:
    layout = oci_layout(workplace.path / "layout", [busybox_layer()])
    blobs = sorted((layout / "blobs" / "sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    by_kind = {"config": blobs[0], "manifest": blobs[1], "layer": blobs[2]}
    garble(by_kind[kind], -10)
    assert "sha256:" in refused(workplace, "--from", f"oci:{layout}")


@pytest.mark.parametrize("kind", ["config", "manifest", "layer"])
def test_a_missing_blob_is_told(kind: str, workplace: Workplace) -> None:
    layout = oci_layout(workplace.path / "layout", [busybox_layer()])
    blobs = sorted((layout / "blobs" / "sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    {"config": blobs[0], "manifest": blobs[1], "layer": blobs[2]}[kind].unlink()
    assert "missing" in refused(workplace, "--from", layout)


def test_a_corrupt_layer_is_refused_also_when_the_cache_has_it(workplace: Workplace) -> None:
    base = workplace.base()
    workplace.build("echo > /y\n", base=base)
    (workplace.path / "out.tar").unlink()
    content = bytearray(base.read_bytes())
    position = content.find(b"root:x:0:0")
    content[position] ^= 1
    base.write_bytes(content)
    assert "diff_id: want sha256:" in refused(workplace, "--from", base)


def test_bad_json_in_the_manifest_is_told(workplace: Workplace) -> None:
    base = workplace.base()
    content = base.read_bytes()
    base.write_bytes(content.replace(b'[{"Config"', b'[("Config"'))
    assert "manifest.json" in refused(workplace, "--from", base)


def test_ac22_a_foreign_architecture_is_refused_before_it_runs(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), image={"architecture": "s390x"})
    line = refused(workplace, "--from", base)
    assert "s390x" in line
    assert "exec format" not in line.lower()


def test_a_base_without_a_shell_is_127_and_names_what_is_missing(workplace: Workplace) -> None:
    base = workplace.base("base.tar", tarball(file("x")))
    assert "/bin/sh" in refused(workplace, "--from", base, status=127)


def test_an_unwritable_output_directory_is_told_before_the_script_runs(
    workplace: Workplace,
) -> None:
    base = workplace.base()
    assert "Permission denied" in refused(workplace, "--from", base, "-o", "/etc/out.tar")


def test_no_space_left_for_the_output_is_told(workplace: Workplace) -> None:
    base = workplace.base()
    full = workplace.path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "none", full], check=True)
    try:
        line = refused(workplace, "--from", base, "-o", full / "out.tar")
        assert os.listdir(full) == []
    finally:
        subprocess.run(["umount", full], check=True)
        full.rmdir()
    assert "No space left on device" in line


@pytest.mark.parametrize(
    ("compression", "told"),
    # What a compressed layer needs shows only when it is unpacked.
    [("none", "MiB, 2.0 MiB are free"), ("gzip", "No space left on device")],
)
@pytest.mark.parametrize("where", ["tmpdir", "cache"])
def test_no_space_left_to_work_in_is_told(
    where: str, compression: str, told: str, workplace: Workplace
) -> None:
    layers = (busybox_layer(), tarball(file("big", bytes(3 << 20))))
    base = workplace.base("base.tar", *layers, compression=compression)
    full = workplace.path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "none", full], check=True)
    args: list[str | Path] = (
        ["--no-cache", "--tmpdir", full] if where == "tmpdir" else ["--cache-dir", full / "c"]
    )
    try:
        line = refused(workplace, "--from", base, *args)
    finally:
        subprocess.run(["umount", full], check=True)
        full.rmdir()
    assert told in line


def test_a_mount_point_that_is_a_symlink_in_the_image_is_refused(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), tarball(symlink("proc", "/etc")))
    assert "mount /proc" in refused(workplace, "--from", base)


def test_ac17_too_many_layers_are_refused_with_both_numbers(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), tarball(file("x")))
    line = refused(workplace, "--from", base, "--max-layers", "2")
    assert "--max-layers: 2" in line
    assert "3" in line
    assert workplace.build("echo > /y\n", "--max-layers", "3", base=base).exists()


def test_a_ref_that_the_archive_lacks_is_told_with_those_it_has(workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), names=("one:1",))
    errors = workplace.run("--from", base, "--from-ref", "two:2", "--", "true").stderr.decode()
    assert "two:2" in errors
    assert "one:1" in errors


def test_an_existing_output_survives_a_failure(workplace: Workplace) -> None:
    workplace.base()
    workplace.write("out.tar", b"precious")
    workplace.write("setup.sh", "exit 3\n")
    done = workplace.run("--from", "base.tar", "--script", "setup.sh", "-o", "out.tar")
    assert done.returncode == 3
    assert (workplace.path / "out.tar").read_bytes() == b"precious"
