"""The functions of ``rootrun/nix`` with a busybox for all that they take from nixpkgs."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.image_check import assert_image_valid
from tests.support.nix import nix_build, on_host, run_nix
from tests.support.program import installation
from tests.support.require import require_program
from tests.support.workplace import Workplace, layers_of

_PRELUDE = """\
let
  busybox = builtins.path {{ path = ./busybox-env; name = "busybox-env"; }};
  # As in nixpkgs: null is no variable, and env is none of the builder's.
  runCommand = name: attributes: command: assert !(attributes ? env); derivation ({{
    inherit name;
    __ignoreNulls = true;
    system = builtins.currentSystem;
    builder = "${{busybox}}/bin/sh";
    args = [ "-euc" command ];
    PATH = "${{busybox}}/bin";
  }} // attributes);
  tools = import {functions} {{
    inherit runCommand;
    rootrun = "{rootrun}";
    shell = "${{busybox}}/bin/sh";
    toolsPath = "${{busybox}}/bin";
    skopeo = "/usr";
    compressors = {{ gz = "gzip"; zstd = "/usr/bin/zstd -q"; }};
  }};
  base = builtins.path {{ path = ./base.tar; name = "base.tar"; }};
  data = runCommand "data" {{ }} "echo data > $out";
  library = runCommand "library" {{ }} ''
    mkdir -p $out/lib; echo library ${{data}} > $out/lib/one.so; ln -s one.so $out/lib/one.so.1
  '';
  program = runCommand "program" {{ }} ''
    mkdir -p $out/bin $out/share; echo text > $out/share/text
    printf '#!/bin/sh\\ncat ${{library}}/lib/one.so\\n' > $out/bin/program
    chmod 755 $out/bin/program
  '';
  unused = runCommand "unused" {{ }} "echo unused > $out";
in
with tools;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """What an expression may use: ``tools``, a base, and packages that refer to each other.

    ``program`` refers to ``library``, which refers to ``data``; nothing refers to ``unused``.
    """

    place: Workplace

    def __post_init__(self) -> None:
        """Write the packages that are no derivations."""
        busybox = self.place.path / "busybox-env"
        (busybox / "bin").mkdir(parents=True)
        program = require_program("busybox")
        shutil.copy(program, busybox / "bin/busybox")
        listed = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
        for name in listed.stdout.split():
            if name != "busybox":
                (busybox / "bin" / name).symlink_to("busybox")

    def attempt(self, expression: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        """Build ``expression``, whatever comes of it; ``options`` are nix-build's."""
        return nix_build(self.place, _prelude() + expression, *options)

    def build(self, expression: str, *, check: bool = False) -> Path:
        """Build ``expression``, which must work, and return the output, as on this host.

        ``check``: Nix builds it once more, and the output must be the same.
        """
        done = self.attempt(expression)
        assert done.returncode == 0, done.stderr.decode()
        if check:
            again = self.attempt(expression, "--check")
            assert again.returncode == 0, again.stderr.decode()
        return on_host(self.place, done.stdout.decode().strip())

    def image(self, expression: str, *, check: bool = False) -> Path:
        """Build an image without compression; return a copy, where more files can be beside it."""
        path = self.place.path / "image.tar"
        path.write_bytes(self.build(expression, check=check).read_bytes())
        assert_image_valid(path)
        return path

    def evaluate(self, expression: str) -> object:
        """Return the value of ``expression``, in the types of JSON."""
        done = self.try_to_evaluate(expression)
        assert done.returncode == 0, done.stderr.decode()
        value: object = json.loads(done.stdout)
        return value

    def try_to_evaluate(self, expression: str) -> subprocess.CompletedProcess[bytes]:
        """Evaluate ``expression`` in full, whatever comes of it."""
        self.place.write("default.nix", _prelude() + expression)
        words = ("--eval", "--strict", "--json", "default.nix")
        return run_nix(self.place, "nix-instantiate", *words)

    def instantiate(self, expression: str) -> str:
        """Return the derivation of ``expression``, with which its inputs are in the store."""
        self.place.write("default.nix", _prelude() + expression)
        done = run_nix(self.place, "nix-instantiate", "default.nix")
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def path_of(self, expression: str) -> str:
        """Return the path in the store of what ``expression`` is."""
        path = self.evaluate(f'"${{{expression}}}"')
        assert isinstance(path, str)
        return path


def _prelude() -> str:
    program = os.fspath(installation())
    return _PRELUDE.format(functions=f"{program}/lib/rootrun/nix", rootrun=program)


def in_store(names: list[str]) -> list[str]:
    """Return the names of the paths of a store among those in layers, without their hashes."""
    parts = [name.rstrip("/").split("/") for name in names]
    return sorted(part[2][33:] for part in parts if part[:2] == ["nix", "store"] and len(part) == 3)


def layer_names(image: Path) -> list[list[str]]:
    """Return the names in each layer."""
    found = []
    for layer in layers_of(image):
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            found.append(tar.getnames())
    return found
