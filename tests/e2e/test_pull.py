"""Images from a registry into an archive, and from an archive into a registry."""

import hashlib
import json
import os
import socket
import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from tests.support.registry import Registry
from tests.support.require import require_program
from tests.support.workplace import Workplace, busybox_layer, config_of, manifest_of

pytestmark = [pytest.mark.userns, pytest.mark.peers]

NO_DIGEST = "sha256:" + "0" * 64
NIX = """{{
  imageName = "{name}";
  imageDigest = "{digest}";
  hash = "{hash}";
  finalImageName = "{name}";
  finalImageTag = "{tag}";
}}
"""


def done(workplace: Workplace, registry: Registry, *args: str) -> str:
    """Run, which must work, and return standard output."""
    run = workplace.run(*args, env=registry.environment)
    assert run.returncode == 0, run.stderr.decode()
    assert os.listdir(workplace.path / "scratch") == []
    return run.stdout.decode()


@pytest.fixture(autouse=True)
def scratch(workplace: Workplace) -> None:
    """A place for scratch trees, to see that none is left."""
    (workplace.path / "scratch").mkdir()
    workplace.own(workplace.path / "scratch")


TMPDIR = ("--tmpdir", "scratch")


def sri(path: Path) -> str:
    """Return the SRI hash of a file."""
    return f"sha256-{b64encode(hashlib.sha256(path.read_bytes()).digest()).decode()}"


def test_an_image_is_pulled_by_digest_and_recorded(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    told = done(workplace, registry, "pull", pushed, "-o", "p.tar", "--json", *TMPDIR)
    record = json.loads(told)
    archive = workplace.path / "p.tar"
    name, _, digest = pushed.removeprefix("docker://").partition("@")
    assert record == {
        "imageName": name,
        "imageTag": None,
        "imageDigest": digest,
        "finalImageName": name,
        "finalImageTag": "latest",
        "imageId": f"sha256:{str(manifest_of(archive)['Config']).removesuffix('.json')}",
        "os": "linux",
        "architecture": config_of(archive)["architecture"],
        "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
        "hash": sri(archive),
        "output": "p.tar",
    }
    assert manifest_of(archive)["RepoTags"] == [f"{name}:latest"]
    args = ("--from", "p.tar", "-o", "o.tar", *TMPDIR, "--", "true")
    assert workplace.run(*args).returncode == 0


def test_a_tag_is_pulled_if_it_is_allowed(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    name = f"{pushed.partition('@')[0]}:1"
    refused = workplace.run("pull", name, env=registry.environment)
    assert refused.returncode == 125
    error, hint = refused.stderr.decode().splitlines()
    assert error == f"rootrun: error: docker://NAME: {name!r}: no digest"
    assert hint.endswith("or give --allow-tag")
    told = done(workplace, registry, "pull", "--allow-tag", name, "-t", "localhost/mine:2", *TMPDIR)
    assert told == f"{pushed}\n"
    assert manifest_of(workplace.path / "base.tar")["RepoTags"] == ["localhost/mine:2"]


def test_what_is_pulled_is_what_dockertools_would_pull(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    """pullImage calls skopeo so, and the hash of what comes of it stands in people's files."""
    skopeo = require_program("skopeo")
    argv: list[str | Path] = [skopeo, "--insecure-policy", "copy", "--src-tls-verify=false", pushed]
    theirs = workplace.path / "theirs.tar"
    subprocess.run([*argv, f"docker-archive:{theirs}:a/b:t"], check=True, capture_output=True)
    done(workplace, registry, "pull", pushed, "-o", "o.tar", "--name", "a/b", "-t", "t", *TMPDIR)
    assert (workplace.path / "o.tar").read_bytes() == theirs.read_bytes()


def test_prefetch_prints_the_arguments_of_pull_image(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    name, _, digest = pushed.removeprefix("docker://").partition("@")
    told = done(workplace, registry, "prefetch", name, "1", *TMPDIR)
    done(workplace, registry, "pull", pushed, "-t", "1", *TMPDIR)
    archived = sri(workplace.path / "base.tar")
    expected = {"name": name, "digest": digest, "hash": archived, "tag": "1"}
    assert told == NIX.format(**expected)
    options = ("--image-name", name, "--image-digest", digest, "--final-image-tag", "1", "--json")
    assert json.loads(done(workplace, registry, "prefetch", *options, *TMPDIR)) == {
        "imageName": name,
        "imageDigest": digest,
        "hash": archived,
        "finalImageName": name,
        "finalImageTag": "1",
    }
    assert done(workplace, registry, "prefetch", name, digest, *TMPDIR).count(digest) == 1


@pytest.mark.parametrize("kind", ["docker-archive", "oci"])
def test_a_pushed_image_has_the_digest_that_is_printed(
    kind: str, workplace: Workplace, registry: Registry
) -> None:
    workplace.base("base.tar", busybox_layer())
    args = ("-o", f"{kind}:out", "--compression", "gzip", *TMPDIR, "--", "touch", f"/{kind}")
    assert workplace.run("--from", "base.tar", *args).returncode == 0
    name = f"docker://{registry.address}/pushed/{kind}"
    printed = done(workplace, registry, "push", f"{kind}:out", f"{name}:1", *TMPDIR).strip()
    done(workplace, registry, "pull", f"{name}@{printed}", "-o", "back.tar", *TMPDIR)
    said = done(workplace, registry, "pull", f"{name}:1", "--allow-tag", "-o", "tag.tar", *TMPDIR)
    assert said == f"{name}@{printed}\n"
    assert config_of(workplace.path / "back.tar") == config_of(workplace.path / "tag.tar")


def test_a_push_of_compressed_layers_keeps_the_digest_of_the_manifest(
    workplace: Workplace, registry: Registry
) -> None:
    workplace.base("base.tar", busybox_layer(), compression="gzip")
    args = ("-o", "oci:out", "--compression", "gzip", "--digestfile", "digest", *TMPDIR)
    run = workplace.run("--from", "base.tar", *args, "--", "touch", "/x")
    assert run.returncode == 0, run.stderr.decode()
    name = f"docker://{registry.address}/pushed/same:1"
    printed = done(workplace, registry, "push", "oci:out", name, *TMPDIR)
    assert printed.strip() == (workplace.path / "digest").read_text()


def test_a_damaged_image_is_not_pushed(workplace: Workplace, registry: Registry) -> None:
    base = workplace.base("base.tar", busybox_layer())
    base.write_bytes(base.read_bytes().replace(b"root:x:0:0", b"evil:x:0:0"))
    name = f"docker://{registry.address}/pushed/damaged:1"
    run = workplace.run("push", "base.tar", name, env=registry.environment)
    assert run.returncode == 125
    assert b"diff_id: want" in run.stderr
    run = workplace.run("pull", "--allow-tag", name, env=registry.environment)
    assert run.returncode == 125
    assert not (workplace.path / "damaged.tar").exists()


def test_a_registry_without_tls_takes_an_option(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    plain = workplace.run("pull", pushed, "-o", "o.tar")
    assert plain.returncode == 125
    assert b"HTTP response to HTTPS client" in plain.stderr
    run = workplace.run("pull", pushed, "-o", "o.tar", "--no-tls-verify")
    assert run.returncode == 0, run.stderr.decode()


def test_an_archive_goes_to_standard_output(
    workplace: Workplace, registry: Registry, pushed: str
) -> None:
    run = workplace.run("pull", pushed, "-o", "-", env=registry.environment)
    assert run.returncode == 0, run.stderr.decode()
    done(workplace, registry, "pull", pushed, "-o", "o.tar", *TMPDIR)
    assert run.stdout == (workplace.path / "o.tar").read_bytes()


REFUSED = {
    "no name": (["pull", "docker://"], "docker://NAME: 'docker://': not a repository name"),
    "half a digest": (["pull", "docker://a@sha256:1"], "docker://NAME: 'docker://a@sha256:1': not"),
    "layout": (["pull", f"docker://a@{NO_DIGEST}", "-o", "oci:d"], "--output: 'oci:d': not one"),
    "place": (["pull", f"docker://a@{NO_DIGEST}", "-o", "no/x"], "write image: no/x: No such file"),
    "certificates": (
        ["pull", f"docker://a@{NO_DIGEST}", "--cert-dir", "gone"],
        "--cert-dir: 'gone': No such file or directory",
    ),
    "nothing to prefetch": (["prefetch"], "NAME: not given"),
    "name twice": (["prefetch", "a", "--image-name", "b"], "NAME: not possible together with"),
    "three words": (["prefetch", "a", "b", "c"], "c: more than NAME and TAG or DIGEST"),
    "bad tag": (["prefetch", "a", "b c"], "TAG: 'b c': not a tag"),
    "bad digest": (["prefetch", "a", "sha256:1"], "DIGEST: 'sha256:1': not a sha256 digest"),
    "nowhere": (["push", "base.tar"], "rootrun push: takes IMAGE and docker://NAME, not 1 words"),
    "no registry": (["push", "base.tar", "a"], "docker://NAME: 'a': does not begin with docker://"),
    "digest": (
        ["push", "base.tar", f"docker://a@{NO_DIGEST}"],
        "docker://NAME: 'docker://a@sha256",
    ),
    "no image": (["push", "gone.tar", "docker://localhost:1/a"], "read image: gone.tar: No such"),
}


@pytest.mark.parametrize(("args", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_one_line(args: list[str], why: str, workplace: Workplace) -> None:
    run = workplace.run(*args)
    assert run.returncode == 125
    assert run.stderr.decode().startswith(f"rootrun: error: {why}")
    assert run.stdout == b""
    assert run.stderr.count(b"\n") <= 2


@pytest.mark.parametrize("command", ["pull", "push"])
def test_a_registry_that_does_not_answer_is_told(command: str, workplace: Workplace) -> None:
    workplace.base()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        name = f"docker://127.0.0.1:{closed.getsockname()[1]}/x"
        args = [f"{name}@{NO_DIGEST}"] if command == "pull" else ["base.tar", f"{name}:1"]
        run = workplace.run(command, *args)
    assert run.returncode == 125
    assert b"connection refused" in run.stderr
    assert run.stderr.count(b"\n") == 1
