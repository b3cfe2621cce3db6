"""Images of store paths, made in Nix's own sandbox of derivations that Nix makes."""

from pathlib import Path

import pytest

from tests.e2e.test_nix_database import unpacked
from tests.support.host_bash import bash_bytes, bash_libraries
from tests.support.image_check import assert_image_valid
from tests.support.nix import nix_build, on_host
from tests.support.nix_closure import make_closure, nix
from tests.support.program import installation
from tests.support.workplace import Workplace, config_of, layers_of, top_layer

pytestmark = [pytest.mark.userns, pytest.mark.peers]

# The paths of the closure as Nix hands them over, with hashes and sizes, in both forms.
_BUILDER = """\
import json, subprocess
attributes = json.load(open(".attrs.json"))
with open("registration", "w") as registration:
    for one in attributes["closure"]:
        references = one["references"]
        lines = [one["path"], one["narHash"], one["narSize"], "", len(references), *references]
        registration.writelines(f"{line}\\n" for line in lines)
output = attributes["outputs"]["out"]
subprocess.run([attributes["rootrun"], *attributes["words"], "-o", output], check=True)
"""
_EXPRESSION = """\
let
  wanted = import ./wanted.nix;
in derivation {{
  name = "image.tar";
  system = builtins.currentSystem;
  builder = "/usr/bin/python3";
  args = [ (builtins.toFile "build.py" (builtins.readFile ./build.py)) ];
  __structuredAttrs = true;
  rootrun = "{rootrun}";
  exportReferencesGraph.closure = wanted.closure;
  words = wanted.words;
}}
"""
_HELLO = """\
let
  text = builtins.toFile "text" "of a file\\n";
  bash = builtins.path {{ path = ./bash; name = "bash"; }};
in rec {{
  hello = derivation {{
    name = "hello-2.10";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" "read -r line < $text; echo \\"$line of $bigPath in $PWD\\" > $out" ];
    inherit text;
    passAsFile = [ "big" ]; big = "of an attribute";
  }};
  closure = [ text bash ];
  words = [
    "shell-image" (builtins.unsafeDiscardOutputDependency hello.drvPath) "--closure" ".attrs.json"
    "--shell" "${{bash}}/bin/bash" "--run" "buildDerivation; echo \\"$out: $(<$out)\\""
    {libraries}
  ];
}}
"""


def made(place: Workplace, wanted: str) -> Path:
    """Return the image that rootrun makes in the sandbox of ``wanted``, an expression."""
    place.write("wanted.nix", wanted)
    place.write("build.py", _BUILDER)
    done = nix_build(place, _EXPRESSION.format(rootrun=installation() / "bin/rootrun"))
    assert done.returncode == 0, done.stderr.decode()
    image = on_host(place, done.stdout.decode().strip())
    assert_image_valid(image)
    return image


def test_ac36_paths_in_layers_of_their_own_are_registered(workplace: Workplace) -> None:
    closure = make_closure(workplace)
    words = '[ "layered" "--closure" ".attrs.json" "--nix-db" "registration" ]'
    image = made(workplace, f"{{ closure = [ (import ./closure.nix) ]; words = {words}; }}")
    assert len(layers_of(image)) == len(closure.paths) + 1
    assert not any(name.startswith("nix/store/") for name in top_layer(image))
    root = unpacked(workplace, *layers_of(image), into="root")
    assert nix(workplace, "nix-store", root, "--verify", "--check-contents") == ""
    registered = nix(workplace, "nix-store", root, "-qR", closure.top).split()
    assert sorted(registered) == sorted(closure.paths)


def test_ac40_the_shell_builds_what_nix_builds(any_workplace: Workplace) -> None:
    place = any_workplace
    (place.path / "bash/bin").mkdir(parents=True)
    place.write("bash/bin/bash", bash_bytes(), mode=0o755)
    libraries = " ".join(f'"{word}"' for word in bash_libraries())
    wanted = _HELLO.format(libraries=libraries)
    image = made(place, wanted)
    done = nix_build(place, "(import ./wanted.nix).hello")
    assert done.returncode == 0, done.stderr.decode()
    path = done.stdout.decode().strip()
    config = config_of(image)["config"]
    assert isinstance(config, dict)
    where = ("--user", config["User"], "--workdir", config["WorkingDir"])
    said = place.run("--from", image, "-q", *place.options, *where, "--", *config["Cmd"])
    assert said.returncode == 0, said.stderr.decode()
    built = on_host(place, path).read_text()
    assert built.startswith("of a file of /build/.attr-")
    assert built.endswith(" in /build\n")
    assert said.stderr.decode().splitlines()[0] == f"{path}: {built.strip()}"
