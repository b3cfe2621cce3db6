"""Derivations are read as Nix writes them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from rootrun.compose.derivation import Derivation, parse_derivation
from tests.support.require import require_program

_EXPRESSION = r"""
let needed = derivation { name = "needed"; system = "s"; builder = "b"; outputs = [ "a" "b" ]; };
in derivation {
  name = "odd";
  system = "x";
  builder = "/bin/sh";
  args = [ "-c" "a\nb\t\"c\" \\ $d" "" "é" ];
  outputs = [ "out" "dev" ];
  inherit needed;
  source = builtins.toFile "source" "x";
  "a.b-c" = "";
}
"""


@pytest.mark.peers
def test_all_that_nix_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "default.nix").write_text(_EXPRESSION)
    store = ["--store", os.fspath(tmp_path / "store")]
    environment = {"HOME": os.fspath(tmp_path), "PATH": os.environ["PATH"]}

    def call(program: str, *args: str) -> str:
        argv = [str(require_program(program)), *args, *store]
        done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, check=True)
        return done.stdout.decode()

    path = call("nix-instantiate", "default.nix").strip()
    feature = ("--extra-experimental-features", "nix-command")
    shown = json.loads(call("nix", *feature, "show-derivation", path))[path]
    content = (tmp_path / f"store{path}").read_bytes()
    assert parse_derivation(content) == Derivation(
        outputs=tuple((name, output["path"]) for name, output in sorted(shown["outputs"].items())),
        builder=shown["builder"],
        args=tuple(shown["args"]),
        environment=tuple(sorted(shown["env"].items())),
    )


_WHOLE = b'Derive([("out","/p","","")],[],[],"s","b",[],[("a","\\n\xff")])'


def test_bytes_that_are_no_utf_8_are_kept() -> None:
    assert parse_derivation(_WHOLE + b"\n").environment == (("a", "\n\udcff"),)


@pytest.mark.parametrize("end", range(len(_WHOLE)))
def test_a_part_is_none(end: int) -> None:
    with pytest.raises(ValueError, match=r"^no derivation: "):
        parse_derivation(_WHOLE[:end])


@pytest.mark.parametrize(
    "content",
    [
        _WHOLE + b"x",
        _WHOLE.replace(b"[],[]", b"[],[,]"),
        _WHOLE.replace(b'"",""', b'""'),
        b"[" * 100_000,
        b"Derive(" + b"[" * 100_000,
    ],
    ids=["more", "list", "fields", "nested", "nested inside"],
)
def test_all_else_is_none(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"^no derivation: "):
        parse_derivation(content)
