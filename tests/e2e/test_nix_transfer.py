"""What else there is in ``rootrun/nix``, built by Nix itself in its sandbox."""

import json
import tarfile

import pytest

from tests.support.nix_functions import Functions, in_store
from tests.support.program import installation
from tests.support.registry import Registry
from tests.support.workplace import (
    busybox_layer,
    content_of,
    layers_of,
    manifest_of,
    top_layer,
)

pytestmark = [pytest.mark.userns, pytest.mark.peers]


def test_merged_archive_has_all_images(functions: Functions) -> None:
    """AC29, AC55: compressed as the last one."""
    image = """buildImage {{
      name = "{0}"; tag = "1"; compressor = "{1}"; extraCommands = "echo > {0}";
    }}"""
    one, two = image.format("one", "none"), image.format("two", "gz")
    merged = functions.build(f"mergeImages [ ({one}) ({two}) ]")
    assert merged.read_bytes()[:2] == b"\x1f\x8b"
    for name in ("one", "two"):
        words = (
            "--from",
            merged,
            "--from-ref",
            f"{name}:1",
            "-o",
            f"{name}.tar",
            "--owner",
            "keep",
        )
        done = functions.place.run(*words, "--copy", "base.tar:/x")
        assert done.returncode == 0, done.stderr.decode()
    exported = functions.build(
        f"""exportImage {{
          fromImage = mergeImages [ ({two}) ({one}) ]; name = "tree"; diskSize = 9;
          fromImageName = "two"; fromImageTag = "1";
        }}"""
    )
    with tarfile.open(exported) as tar:
        assert [name for name in tar.getnames() if name.strip("./")] == ["two"]


def test_contents_that_images_often_need(functions: Functions) -> None:
    """AC33: fakeNss with more users, the shell, and what useradd works on."""
    image = functions.build(
        """buildImage {
          name = "x"; compressor = "none";
          copyToRoot = [
            binSh (fakeNss.override { extraPasswdLines = [ "one:x:1:1::/:/bin/sh" ]; })
          ];
          runAsRoot = "${shadowSetup}\\n/bin/sh -c 'echo ran > /ran'";
        }"""
    )
    assert content_of(image, "etc/passwd") == (
        b"root:x:0:0:root user:/var/empty:/bin/sh\none:x:1:1::/:/bin/sh\n"
        b"nobody:x:65534:65534:nobody:/var/empty:/bin/sh\n"
    )
    assert content_of(image, "etc/group") == b"root:x:0:\nnobody:x:65534:\n"
    assert content_of(image, "ran") == b"ran\n"
    assert {"etc/pam.d/other", "etc/login.defs", "bin/sh"} <= {*[*top_layer(image)]}
    assert "etc/shadow" not in [*top_layer(image)]
    assert in_store([*top_layer(image)]) == ["busybox-env"]


def test_image_of_a_registry_is_fetched_by_its_hash(
    functions: Functions,
    registry: Registry,
    pushed: str,
) -> None:
    """AC6: a build whose output is known may use the network."""
    name, _, digest = pushed.removeprefix("docker://").partition("@")
    final = ("--final-image-name", "localhost/some/base", "--final-image-tag", "1")
    words = ("prefetch", name, digest, "--json", *final)
    done = functions.place.run(*words, env=registry.environment)
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    given = " ".join(f'{key} = "{value}";' for key, value in told.items())
    image = f"pullImage {{ {given} tlsVerify = false; }}"
    known = functions.evaluate(f"{{ inherit ({image}) name imageName imageTag; }}")
    assert known == {
        "name": "docker-image-localhost-some-base-1.tar",
        "imageName": "localhost/some/base",
        "imageTag": "1",
    }
    fetched = functions.build(image)
    assert manifest_of(fetched)["RepoTags"] == ["localhost/some/base:1"]
    assert layers_of(fetched) == [busybox_layer()]
    wrong = functions.attempt(image.replace('finalImageTag = "1"', 'finalImageTag = "2"'))
    assert b"hash mismatch in fixed-output derivation" in wrong.stderr


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        (
            'buildLayeredImage { name = "some/x"; maxLayers = 1; }',
            "image some/x: maxLayers: 1: must be more than 1",
        ),
        (
            'buildLayeredImage { name = "x"; compressor = "xz"; }',
            'image x: compressor: "xz": is none of "gz", "none", "zstd"',
        ),
        (
            'streamNixShellImage { drv = unused; command = "a"; run = "b"; }',
            "image unused-env: command and run: only one of them may be given",
        ),
        (
            'buildNixShellImage { drv = runCommand "s" { __structuredAttrs = true; } ""; }',
            "image s-env: drv: s: has structured attributes",
        ),
        (
            'pullImage { imageName = "x"; imageDigest = "sha256:0"; }',
            "image x: hash: one of hash and sha256 is needed",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_built(
    expression: str,
    why: str,
    functions: Functions,
) -> None:
    done = functions.try_to_evaluate(f"({expression}).outPath")
    assert done.returncode != 0
    assert f"rootrun: {why}".encode() in done.stderr


def test_packages_of_nixpkgs_are_arguments_by_their_names(functions: Functions) -> None:
    """What callPackage finds; the shell and the tools are then theirs."""
    value = functions.evaluate(
        f"""let found = import {installation()}/lib/rootrun/nix {{
          rootrun = "/rootrun"; inherit runCommand;
          bash = "/bash"; coreutils = "/coreutils"; gzip = "/gzip"; cacert = "/cacert";
        }}; in {{
          inherit (found.binSh) target;
          env = found.usrBinEnv.target;
          inherit (found.caCertificates) bundle;
          path = found.fakeNss.builderPath;
        }}"""
    )
    assert value == {
        "target": "/bash/bin/bash",
        "env": "/coreutils/bin/env",
        "bundle": "/cacert/etc/ssl/certs/ca-bundle.crt",
        "path": "/rootrun/bin:/coreutils/bin:/bash/bin:/gzip/bin",
    }
