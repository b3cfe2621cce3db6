"""``buildImage`` of ``rootrun/nix``, built by Nix itself in its sandbox."""

import gzip
import json
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.nix import run_nix
from tests.support.nix_functions import Functions
from tests.support.tarball import directory, symlink
from tests.support.workplace import (
    Workplace,
    busybox_layer,
    config_of,
    content_of,
    layers_of,
    manifest_of,
    top_layer,
)

pytestmark = [pytest.mark.userns, pytest.mark.peers]


def opened(image: Path) -> Path:
    """Return an image that a build wrote, uncompressed; it is a valid one."""
    plain = image.parent.parent.parent.parent / "plain.tar"
    plain.write_bytes(gzip.decompress(image.read_bytes()))
    assert_image_valid(plain)
    return plain


def names(image: Path) -> list[str]:
    """Return the names in the new layer."""
    return [*top_layer(image)]


def test_script_runs_as_root_on_a_base(functions: Functions) -> None:
    """AC7, AC9, AC12, AC34: by its text alone, in one layer; the store leaves nothing in it."""
    built = functions.build(
        """buildImage {
          name = "Registry:5000/Some/Image"; tag = "1"; fromImage = base;
          runAsRoot = ''
            #!/bin/bash
            id -u > /runAsRoot; chown 7:8 /runAsRoot
            echo '(a) "b" $c' "it's" > "/odd name"; ls ${data} > /dev/null
            echo one:x:999:999::/:/bin/sh >> /etc/passwd; echo one:x:999: >> /etc/group
          '';
          extraCommands = "echo 'd (e)' > extraCommands";
        }""",
        check=True,
    )
    image = opened(built)

    assert built.name.endswith("-docker-image-Image.tar.gz")
    assert manifest_of(image)["RepoTags"] == ["registry:5000/some/image:1"]
    assert names(image) == [
        *("etc/", "etc/group", "etc/passwd", "extraCommands"),
        *("odd name", "runAsRoot"),
    ]
    assert content_of(image, "odd name") == b'(a) "b" $c it\'s\n'
    assert content_of(image, "extraCommands") == b"d (e)\n"
    assert content_of(image, "runAsRoot") == b"0\n"
    owner = top_layer(image)["runAsRoot"]
    assert (owner.uid, owner.gid) == (7, 8)
    assert layers_of(image)[0] == busybox_layer()


@pytest.mark.parametrize("caller", ["root", "subids", "single"])
def test_image_is_the_same_for_every_nix(
    caller: str, root_workplace: Workplace, workplace: Workplace, lone_workplace: Workplace
) -> None:
    """AC48: and that of a run outside."""
    place = {"root": root_workplace, "single": lone_workplace, "subids": workplace}[caller]
    place.base()
    built = Functions(place=place).build(
        """buildImage {
          name = "x"; tag = "y"; fromImage = base; compressor = "none";
          runAsRoot = "mkdir /home/alice -p; chown 1000:1000 /home/alice; rm /etc/group";
        }"""
    )
    place.write("runAsRoot", "mkdir /home/alice -p; chown 1000:1000 /home/alice; rm /etc/group")
    words = ["--from", "base.tar", "--script", "runAsRoot", "--owner", "keep", "-t", "x:y"]
    done = place.run(*words, "--squash", "-o", "outside.tar")
    assert done.returncode == 0, done.stderr.decode()
    assert built.read_bytes() == (place.path / "outside.tar").read_bytes()


def test_image_without_a_script_is_what_is_copied(functions: Functions) -> None:
    """AC20, AC27, AC31: no base, no store paths, an owner; directories' content at the root."""
    image = functions.build(
        """buildImage {
          name = "pure"; tag = "1"; compressor = "none"; uid = 1000; gid = 2000;
          copyToRoot = [
            (runCommand "one" { } "mkdir -p $out/etc; echo one > $out/etc/file; echo > $out/x")
            (runCommand "two" { } "mkdir -p $out/etc; echo two > $out/etc/file")
          ];
          extraCommands = "mkdir -p tmp; chmod 1777 tmp; rm x";
          config = { Cmd = [ "/bin/x" ]; Env = [ "A=b" ]; };
        }"""
    )
    assert_image_valid(image)
    layer = top_layer(image)
    assert [*layer] == ["etc/", "etc/file", "tmp/"]
    assert {(member.uid, member.gid) for member in layer.values()} == {(1000, 2000)}
    assert layer["tmp/"].mode == 0o1777
    assert content_of(image, "etc/file") == b"two\n"
    assert config_of(image)["config"] == {"Cmd": ["/bin/x"], "Env": ["A=b"]}


def test_nothing_at_all_is_an_empty_layer(functions: Functions) -> None:
    """AC17: two of them are two layers."""
    image = functions.build(
        """buildImage {
          name = "upper"; compressor = "none";
          fromImage = buildImage { name = "lower"; };
        }"""
    )
    assert len(assert_image_valid(image).layers) == 2
    assert names(image) == []


def test_symlinks_to_directories_are_followed_as_asked_for(functions: Functions) -> None:
    """AC54: of the base always; of what is copied in they are made directories, unless told."""
    place = functions.place
    place.base("base.tar", busybox_layer(directory("usr/lib"), symlink("lib", "usr/lib")))
    image = """buildImage {
      name = "x"; compressor = "none"; fromImage = base;
      copyToRoot = runCommand "c" { } "mkdir -p $out/lib $out/d; echo > $out/lib/f; ln -s d $out/l";
      %s
    }"""
    copied = functions.build(image % "")
    assert names(copied) == ["d/", "l/", "usr/", "usr/lib/", "usr/lib/f"]
    kept = functions.build(image % "keepContentsDirlinks = true;")
    assert names(kept) == ["d/", "l", "usr/", "usr/lib/", "usr/lib/f"]


def test_tag_without_one_is_the_hash_of_the_output(functions: Functions) -> None:
    """AC2."""
    expression = 'buildImage { name = "Some/Image"; compressor = "none"; }'
    known = functions.evaluate(f"{{ inherit ({expression}) imageName imageTag; }}")
    image = functions.build(expression)
    digest = image.name.partition("-")[0]
    assert known == {"imageName": "some/image", "imageTag": digest}
    assert manifest_of(image)["RepoTags"] == [f"some/image:{digest}"]


@pytest.mark.parametrize(
    ("compressor", "extension"), [("none", ""), ("gz", ".gz"), ("zstd", ".zst")]
)
def test_compressors_hold_the_same_image(
    compressor: str, extension: str, functions: Functions
) -> None:
    """AC3: and as a base each is read."""
    expression = f"""buildImage {{
      name = "x"; tag = "y"; fromImage = base; compressor = "{compressor}";
      extraCommands = "echo > new";
    }}"""
    built = functions.build(expression)
    assert built.name.endswith(f"-docker-image-x.tar{extension}")
    done = functions.place.run("--from", built, "-o", "again.tar", "--", "true")
    assert done.returncode == 0, done.stderr.decode()
    layers = layers_of(functions.place.path / "again.tar")
    assert layers[0] == busybox_layer()
    assert len(layers) == 3
    layer = functions.build(f"({expression}).layer")
    assert (layer / "layer.tar").read_bytes() == layers[1]
    assert (layer / "VERSION").read_bytes() == b"1.0"
    assert json.loads((layer / "json").read_bytes())["parent"]


def test_arguments_can_be_seen_and_replaced(functions: Functions) -> None:
    value = functions.evaluate("""
      let image = buildImage { name = "x"; tag = "1"; uid = 3; }; in {
        inherit (image) buildArgs imageTag;
        other = (image.override { tag = "2"; }).imageTag;
        computed = (image.override (old: { tag = old.tag + "0"; })).imageTag;
        meta = (image.override { meta.license = "MIT"; }).meta;
      }
    """)
    assert value == {
        "buildArgs": {"name": "x", "tag": "1", "uid": 3},
        "imageTag": "1",
        "other": "2",
        "computed": "10",
        "meta": {"license": "MIT"},
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            'compressor = "bz2";',
            'image some/x: compressor: "bz2": is none of "gz", "none", "zstd"',
        ),
        (
            "contents = [ ]; copyToRoot = [ ];",
            "image some/x: contents and copyToRoot: only one of them may be given",
        ),
        (
            'fromImageName = "x";',
            "image some/x: fromImageName and fromImageTag: both are needed to pick an image",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_built(
    arguments: str, why: str, functions: Functions
) -> None:
    done = functions.try_to_evaluate(f'(buildImage {{ name = "some/x"; {arguments} }}).outPath')
    assert done.returncode != 0
    assert f"rootrun: {why}".encode() in done.stderr


def test_no_virtual_machine_is_asked_for(functions: Functions) -> None:
    """The sizes of one are taken, and make no difference."""
    image = 'buildImage { name = "x"; runAsRoot = "true"; %s }'
    paths = {
        functions.path_of(image % sizes)
        for sizes in ("", "diskSize = 4096; buildVMMemorySize = 2048;")
    }
    assert len(paths) == 1
    derivation = functions.instantiate(image % "")
    shown = run_nix(functions.place, "nix", "show-derivation", "-r", derivation)
    assert shown.returncode == 0, shown.stderr.decode()
    derivations = json.loads(shown.stdout)
    assert len(derivations) > 2
    for derivation in derivations.values():
        assert "kvm" not in json.dumps(derivation)


def test_script_that_fails_fails_the_build(functions: Functions) -> None:
    """AC49: though a compressor follows."""
    done = functions.attempt(
        'buildImage { name = "x"; fromImage = base; runAsRoot = "echo words; false; echo no"; }'
    )
    assert done.returncode != 0
    assert b"words\n" in done.stderr
    assert b"rootrun: error: run script: runAsRoot: ended with status 1\n" in done.stderr
