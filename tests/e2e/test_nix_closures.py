"""What images of ``rootrun/nix`` have of the store, built by Nix itself in its sandbox."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.nix import CONFIGURATION
from tests.support.nix_functions import Functions, in_store, layer_names
from tests.support.require import require_program
from tests.support.workplace import (
    layers_of,
    top_layer,
)

pytestmark = [pytest.mark.userns, pytest.mark.peers]


@pytest.mark.parametrize(
    ("arguments", "brought"),
    [
        ("copyToRoot = program;", ["data", "library"]),
        (
            "copyToRoot = runCommand \"l\" { } ''mkdir $out; ln -s ${program}/bin/* $out'';",
            ["data", "library", "program"],
        ),
        ('config.Cmd = [ "${program}/bin/program" ];', ["data", "library", "program"]),
        ('runAsRoot = "ls ${program}; cp ${program}/bin/program /";', ["data", "library"]),
        ('runAsRoot = "ls ${program}";', []),
        ('extraCommands = "ln -s ${unused} link";', ["unused"]),
        ('extraCommands = "echo ${unused} > x; rm x";', []),
        ('extraCommands = "echo $PATH > path";', ["busybox-env"]),
    ],
)
def test_what_the_layer_mentions_is_in_it_with_all_it_needs(
    arguments: str,
    brought: list[str],
    functions: Functions,
) -> None:
    """AC21: and nothing else is, though the scripts have seen all of it (AC34)."""
    expression = f'buildImage {{ name = "x"; fromImage = base; compressor = "none"; {arguments} }}'
    image = functions.build(expression, check="runAsRoot" in arguments)
    assert_image_valid(image)
    assert in_store([*top_layer(image)]) == brought
    if brought:
        modes = {name: member.mode for name, member in top_layer(image).items()}
        assert (modes["nix/"], modes["nix/store/"]) == (0o755, 0o755)


def test_program_of_the_store_runs_in_the_image(functions: Functions) -> None:
    image = functions.build(
        'buildImage { name = "x"; fromImage = base; compressor = "none"; copyToRoot = program; }'
    )
    words = ("--from", image, "-o", "again.tar", "--", "/bin/program")
    done = functions.place.run(*words)
    assert done.returncode == 0, done.stderr.decode()
    assert f"library {functions.path_of('data')}\n".encode() in done.stderr


def test_paths_that_the_base_has_are_not_in_the_new_layer(
    functions: Functions,
) -> None:
    image = functions.build(
        """buildImage {
          name = "x"; compressor = "none"; copyToRoot = program;
          fromImage = buildImage { name = "y"; config.Cmd = [ library ]; };
        }"""
    )
    (_, lower), (_, upper) = enumerate(layer_names(image))
    assert in_store(lower) == ["data", "library"]
    assert in_store(upper) == []


@pytest.mark.parametrize("function", ["buildImageWithNixDb", "buildLayeredImageWithNixDb"])
def test_database_is_what_nix_verifies(
    function: str,
    functions: Functions,
) -> None:
    """AC36."""
    contents = "copyToRoot" if function == "buildImageWithNixDb" else "contents"
    image = functions.image(
        f'{function} {{ name = "x"; compressor = "none"; {contents} = [ program ]; }}', check=True
    )
    root = functions.place.path / "root"
    root.mkdir()
    layer_file = functions.place.path / "layer.tar"
    for layer in layers_of(image):
        layer_file.write_bytes(layer)
        unpack = ("tar", "xf", layer_file, "-C", root, "--delay-directory-restore")
        subprocess.run(unpack, check=True)
    assert sorted(
        path.rpartition("-")[2] for path in nix_store(root, "-qR", functions.path_of("program"))
    ) == ["data", "library", "program"]
    nix_store(root, "--verify", "--check-contents")


def nix_store(root: Path, *words: str) -> list[str]:
    """Run nix-store on the database of the tree at ``root``, which must work."""
    (root.parent / "nix.conf").write_text(CONFIGURATION)
    environment = {
        "NIX_REMOTE": f"local?root={root}",
        "NIX_CONF_DIR": os.fspath(root.parent),
        "HOME": os.fspath(root.parent),
    }
    argv: list[str | Path] = [require_program("nix-store"), *words]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    return done.stdout.split()
