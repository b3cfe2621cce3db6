"""A closure of a real Nix: store paths of every kind, with references and a registration."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.nix import CONFIGURATION, sandbox_paths
from tests.support.program import run_as
from tests.support.require import require_program
from tests.support.workplace import Workplace

_EXPRESSION = """\
let
  shell = name: outputs: attributes: script: derivation (attributes // {
    inherit name outputs;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" script ];
    PATH = "/usr/bin";
  });
  source = builtins.path { path = ./source; name = "source"; };
  library = shell "library-2.0" [ "out" ] { } ''
    mkdir -p $out/lib; echo $out > $out/lib/self; ln -s self $out/lib/link; : > $out/lib/empty
  '';
  tool = shell "tool-1.0" [ "out" "dev" ] { inherit library source; } ''
    echo $library > $out; chmod +x $out; mkdir $dev; ln -s $source/a $dev/a; echo $out > $dev/out
  '';
in tool.dev
"""
_SOURCE = 'mkdir -p source/"a b" source/empty; echo a > source/a; echo b > source/"a b"/\\"'


class Closure(NamedTuple):
    """What a store holds, and where it is."""

    place: Workplace
    root: Path  # with nix/store in it
    registration: bytes
    paths: tuple[str, ...]
    top: str  # refers to all others

    @property
    def copies(self) -> tuple[str, ...]:
        """The options that bring the paths into an image."""
        return tuple(
            word for path in self.paths for word in ("--copy", f"{self.root}{path}:{path}")
        )


def make_closure(place: Workplace, *, has_derivations: bool = False) -> Closure:
    """Build a closure in a store of its own below ``place``."""
    place.write("nix.conf", CONFIGURATION)
    place.write("closure.nix", _EXPRESSION)
    assert place.shell(_SOURCE).returncode == 0
    root = place.path / "nix-store"
    paths = ("--option", "sandbox-paths", sandbox_paths())
    top = nix(place, "nix-build", root, "closure.nix", "--no-out-link", *paths).split()[0]
    asked = ("-q", "--deriver", top) if has_derivations else ("-qR", top)
    (start, *_) = found = nix(place, "nix-store", root, *asked).split()
    if has_derivations:
        found = nix(place, "nix-store", root, "-qR", "--include-outputs", start).split()
    registration = nix(place, "nix-store", root, "--dump-db", *found)
    return Closure(place, root, registration.encode(), tuple(sorted(found)), top)


def nix(place: Workplace, program: str, root: Path, *args: str) -> str:
    """Return what a program of Nix prints, which must work on the store in ``root``."""
    argv: Sequence[str | Path] = [require_program(program), *args, "--store", root]
    environment = {"NIX_CONF_DIR": os.fspath(place.path), "HOME": os.fspath(place.path)}
    done = run_as(argv, account=place.account, env=environment, cwd=place.path)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
