"""The image that comes out: its configuration, its names, and what peers make of it."""

import json
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.images import assert_image_valid, docker_archive, oci_archive, oci_layout
from tests.support.peers import (
    podman_load,
    run_in_rootfs,
    skopeo_copy,
    skopeo_inspect,
    unpacked_by_umoci,
)
from tests.support.tarball import directory, file, tarball
from tests.support.workplace import (
    Workplace,
    busybox_layer,
    config_of,
    layers_of,
    manifest_of,
    top_layer,
)

pytestmark = pytest.mark.userns

STYLES = ("old", "25", "skopeo", "podman", "dockertools", "v1-only")


def runtime(archive: Path) -> dict[str, object]:
    """Return the config object of an archive's configuration."""
    found = config_of(archive)["config"]
    assert isinstance(found, dict)
    return found


@pytest.mark.peers
def test_ac1_the_image_is_created_in_1970_or_when_it_is_asked_for(workplace: Workplace) -> None:
    fixed = workplace.build("echo > /x\n")
    now = workplace.build("echo > /x\n", "--created", "now", output="now.tar")
    assert skopeo_inspect(f"docker-archive:{fixed}")["Created"] == "1970-01-01T00:00:01Z"
    created = datetime.fromisoformat(str(skopeo_inspect(f"docker-archive:{now}")["Created"]))
    assert abs(created.timestamp() - time.time()) < 60
    assert layers_of(fixed) == layers_of(now)


def test_ac2_the_tag_is_the_given_one_or_made_of_the_content(workplace: Workplace) -> None:
    given = workplace.build("echo > /x\n", "--name", "app", "--tag", "v1")
    assert manifest_of(given)["RepoTags"] == ["app:v1"]
    workplace.write("setup.sh", "echo > /x\n")
    told = [
        json.loads(
            workplace.run(
                *("--from", "base.tar", "--script", "setup.sh", "-o", f"{n}.tar", "--json")
            ).stdout
        )
        for n in range(2)
    ]
    assert told[0]["imageTag"] == told[1]["imageTag"]
    names = manifest_of(workplace.path / "0.tar")["RepoTags"]
    assert names == [f"{told[0]['imageName']}:{told[0]['imageTag']}"]


@pytest.mark.peers
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_ac3_each_compression_loads_with_the_same_diff_id(
    compression: str, workplace: Workplace
) -> None:
    output = workplace.build("echo > /x\n", "--compression", compression, "--tag", "t")
    assert_image_valid(output)
    plain = workplace.build("echo > /x\n", "--tag", "t", output="plain.tar")
    assert config_of(output) == config_of(plain)
    assert podman_load(output) == ["localhost/base-setup:t"]


@pytest.mark.parametrize("style", STYLES)
def test_ac6_every_dialect_of_a_base_gives_the_same_layer(style: str, workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), tarball(file("x", b"x")), style=style)
    output = workplace.build("cat /x /x > /y\n", base=base)
    assert_image_valid(output)
    assert list(top_layer(output)) == ["y"]


@pytest.mark.peers
def test_ac6_a_base_that_skopeo_wrote_is_read(workplace: Workplace) -> None:
    layout = oci_layout(workplace.path / "layout", [busybox_layer()], compression="gzip")
    archive = workplace.path / "skopeo.tar"
    skopeo_copy(f"oci:{layout}:latest", f"docker-archive:{archive}:some/name:tag")
    workplace.own(archive)
    assert list(top_layer(workplace.build("echo > /y\n", base=archive))) == ["y"]


@pytest.mark.peers
def test_ac8_a_name_in_capitals_is_written_in_small_letters(
    workplace: Workplace, public_path: Path
) -> None:
    base = workplace.base("base.tar", busybox_layer(), tarball(file("old", b"old")))
    output = workplace.build(
        "printf '#!/bin/sh\\necho hi' >/bin/hello; chmod +x /bin/hello\n",
        "--name",
        "MyApp",
        base=base,
    )
    assert str(manifest_of(output)["RepoTags"]).startswith("['myapp:")
    with unpacked_by_umoci(output, public_path) as rootfs:
        assert (rootfs / "old").read_bytes() == b"old"
        assert run_in_rootfs(rootfs, "/bin/hello") == b"hi\n"


@pytest.mark.peers
def test_ac10_a_modern_base_gets_a_layer_with_its_modes(
    workplace: Workplace, public_path: Path
) -> None:
    base = workplace.base("base.tar", busybox_layer(), style="25")
    options = ("--workdir", "/job", "--cmd", '["/bin/pwd"]')
    base = workplace.build("mkdir -m 777 /job\n", base=base)
    output = workplace.build("echo > /job/x\n", *options, base=base, output="two.tar")
    assert top_layer(base)["job/"].mode == 0o777
    assert runtime(output)["WorkingDir"] == "/job"
    with unpacked_by_umoci(output, public_path) as rootfs:
        assert run_in_rootfs(rootfs, "/bin/sh", "-c", "cd /job && pwd") == b"/job\n"


def test_ac11_three_generations_add_one_layer_each(workplace: Workplace) -> None:
    base = workplace.base()
    for count in (2, 3, 4):
        base = workplace.build(f"echo {count} >> /log\n", base=base, output=f"{count}.tar")
        assert_image_valid(base)
        assert len(layers_of(base)) == count


def test_ac16_the_environment_is_inherited_and_merged(workplace: Workplace) -> None:
    base = docker_archive(
        workplace.path / "base.tar",
        [busybox_layer()],
        config={"Env": ["FROM_PARENT=true", "LAST_LAYER=parent"], "Cmd": ["/bin/x"], "User": "7"},
    )
    workplace.own(base)
    options = ("--env", "FROM_CHILD=true", "--env", "LAST_LAYER=child")
    output = workplace.build(
        "echo $FROM_PARENT $FROM_CHILD $LAST_LAYER > /e\n", *options, base=base
    )
    assert runtime(output)["Env"] == ["FROM_PARENT=true", "LAST_LAYER=child", "FROM_CHILD=true"]
    assert (runtime(output)["Cmd"], runtime(output)["User"]) == (["/bin/x"], "7")
    assert layers_of(output)[-1].find(b"true true child\n") > 0


def test_ac17_a_layer_is_added_to_no_base_and_to_one(workplace: Workplace) -> None:
    busybox = busybox_layer()
    workplace.write("busybox.tar", busybox)
    nothing = workplace.build("echo > /x\n", "--copy", "/bin/busybox:/bin/sh", base="scratch")
    assert len(layers_of(nothing)) == 1
    assert len(layers_of(workplace.build("echo > /x\n"))) == 2


@pytest.mark.parametrize("architecture", ["amd64", "386"])
def test_ac22_the_architecture_is_the_base_s(architecture: str, workplace: Workplace) -> None:
    base = workplace.base("base.tar", busybox_layer(), image={"architecture": architecture})
    output = workplace.build("echo > /x\n", base=base)
    assert config_of(output)["architecture"] == architecture


@pytest.mark.parametrize("name", ["registry-1.docker.io/image", "localhost:5000/a/b"])
def test_ac24_names_with_a_registry_are_kept_and_files_use_their_last_part(
    name: str, workplace: Workplace
) -> None:
    workplace.base()
    workplace.write("setup.sh", "echo > /x\n")
    done = workplace.run("--from", "base.tar", "--script", "setup.sh", "--name", name, "--tag", "t")
    assert done.returncode == 0, done.stderr.decode()
    output = workplace.path / f"{name.rpartition('/')[2]}.tar"
    assert manifest_of(output)["RepoTags"] == [f"{name}:t"]


@pytest.mark.peers
def test_the_output_goes_to_oci_and_back_by_skopeo(workplace: Workplace) -> None:
    output = workplace.build("echo hi > /x; rm /etc/group\n", "--name", "app", "--tag", "1")
    layout, back = workplace.path / "layout", workplace.path / "back.tar"
    skopeo_copy(f"docker-archive:{output}:app:1", f"oci:{layout}:1")
    skopeo_copy(f"oci:{layout}:1", f"docker-archive:{back}:app:1")
    assert layers_of(back) == layers_of(output)
    assert skopeo_inspect(f"oci:{layout}:1", config=True) == config_of(output)


@pytest.mark.peers
@pytest.mark.parametrize("transport", ["oci", "oci-archive"])
def test_an_oci_output_is_valid_and_skopeo_reads_it(transport: str, workplace: Workplace) -> None:
    workplace.base()
    output = workplace.path / "output"
    done = workplace.run("--from", "base.tar", "-o", f"{transport}:{output}:1", "--", "touch", "/x")
    assert done.returncode == 0, done.stderr.decode()
    assert_image_valid(output)
    found = skopeo_inspect(f"{transport}:{output}:1")
    assert len(found["Layers"] if isinstance(found["Layers"], list) else []) == 2


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "bzip2", "xz"])
@pytest.mark.parametrize("kind", ["layout", "archive"])
def test_ac56_oci_images_with_compressed_layers_are_read(
    kind: str, compression: str, workplace: Workplace
) -> None:
    layers = [busybox_layer(), tarball(file("x", b"x"))]
    write = oci_layout if kind == "layout" else oci_archive
    base = write(workplace.path / "base", layers, compression=compression)
    output = workplace.build("cat /x /x > /y\n", base=base)
    assert_image_valid(output)
    assert list(top_layer(output)) == ["y"]


def test_history_has_one_entry_more(workplace: Workplace) -> None:
    output = workplace.build("echo > /x\n")
    history = config_of(output)["history"]
    assert isinstance(history, list)
    assert len(history) == 2
    assert history[-1]["created_by"] == "rootrun --script setup.sh"


def test_the_base_s_blobs_pass_through_unchanged(workplace: Workplace) -> None:
    layers = [busybox_layer(), tarball(directory("d"), file("d/x", b"x"))]
    base = oci_layout(workplace.path / "base", layers, compression="gzip")
    done = workplace.run("--from", base, "-o", "oci:out", "--", "touch", "/y")
    assert done.returncode == 0, done.stderr.decode()
    blobs = {path.name: path.read_bytes() for path in (base / "blobs" / "sha256").iterdir()}
    kept = workplace.path / "out" / "blobs" / "sha256"
    assert (
        sum(blobs[path.name] == path.read_bytes() for path in kept.iterdir() if path.name in blobs)
        == 2
    )


def test_a_base_from_stdin_and_an_image_to_stdout(workplace: Workplace) -> None:
    base = workplace.base()
    piped = workplace.run(
        *("--from", "-", "-o", "-", "--name", "n", "--", "touch", "/x"), stdin=base.read_bytes()
    )
    assert piped.returncode == 0, piped.stderr.decode()
    direct = workplace.run("--from", base, "-o", "o.tar", "--name", "n", "--", "touch", "/x")
    assert direct.returncode == 0
    assert (workplace.path / "o.tar").read_bytes() == piped.stdout


def test_one_of_several_images_is_picked(workplace: Workplace) -> None:
    members = {"a": tarball(file("which", b"a")), "b": tarball(file("which", b"b"))}
    archives = [
        docker_archive(
            workplace.path / f"{name}.tar", [busybox_layer(), layer], names=(f"{name}:1",)
        )
        for name, layer in members.items()
    ]
    both = workplace.own(merged(archives, workplace.path / "both.tar"))
    output = workplace.build("cp /which /it\n", "--from-ref", "b:1", base=both)
    assert layers_of(output)[-1].find(b"b") > 0
    refused = workplace.run("--from", both, "--", "true")
    assert refused.returncode == 125
    assert b"a:1" in refused.stderr


def merged(archives: list[Path], target: Path) -> Path:
    """Return one docker-archive with the images of several."""
    import tarfile

    from tests.support.images import outer_tar

    members: dict[str, bytes | str] = {}
    manifests: list[object] = []
    for archive in archives:
        manifests.append(manifest_of(archive))
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                content = tar.extractfile(member)
                if content is not None and member.name not in ("manifest.json", "repositories"):
                    members[member.name] = content.read()
    members["manifest.json"] = json.dumps(manifests).encode()
    target.write_bytes(outer_tar(members))
    return target
