"""A derivation in a file, as a store has it or as JSON."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from rootrun.compose.derivation_file import NamedDerivation, read_derivation
from rootrun.errors import UsageError
from tests.support.require import require_program

_EXPRESSION = r"""
derivation {
  name = "odd-1.0";
  system = "x";
  builder = "/bin/sh";
  args = [ "-c" "a\nb\t\"c\" \\ $d" "" "é" ];
  outputs = [ "out" "dev" ];
  yes = true; no = false; list = [ 1 "b c" [ ] true ]; end = [ 1 [ ] ]; nothing = null;
}
"""
_ENVIRONMENT = {
    "builder": "/bin/sh",
    "end": "1 ",
    "list": "1 b c 1",
    "no": "",
    "nothing": "",
    "yes": "1",
}


@pytest.mark.peers
def test_a_drv_and_what_nix_shows_of_it_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "default.nix").write_text(_EXPRESSION)
    store = ["--store", os.fspath(tmp_path / "store")]

    def call(program: str, *args: str) -> bytes:
        argv: list[str | Path] = [require_program(program), *args, *store]
        environment = {"HOME": os.fspath(tmp_path), "PATH": os.environ["PATH"]}
        return subprocess.run(
            argv, cwd=tmp_path, env=environment, capture_output=True, check=True
        ).stdout

    path = call("nix-instantiate", "default.nix").decode().strip()
    shown = call("nix", "--extra-experimental-features", "nix-command", "show-derivation", path)
    (tmp_path / "shown.json").write_bytes(shown)
    read = read_derivation(Path(f"{tmp_path}/store{path}"))
    assert read.name == "odd-1.0"
    assert dict(read.derivation.environment).items() >= _ENVIRONMENT.items()
    assert [name for name, _ in read.derivation.outputs] == ["dev", "out"]
    assert read_derivation(tmp_path / "shown.json") == read


def read(directory: Path, document: object, *, name: str = "x.json") -> NamedDerivation:
    """Return the derivation that a file of JSON holds."""
    (directory / name).write_text(json.dumps(document))
    return read_derivation(directory / name)


def test_attributes_become_variables_as_nix_makes_them(tmp_path: Path) -> None:
    values = {
        "yes": True,
        "no": False,
        "list": [1, "b c", [], True],
        "end": [1, []],
        "nothing": None,
    }
    found = read(tmp_path, {"builder": "/bin/sh", "env": {"builder": "/bin/sh", **values}})
    assert dict(found.derivation.environment) == _ENVIRONMENT


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"builder": "b"}, "x"),
        ({"builder": "b", "env": {"name": "n"}}, "n"),
        ({"builder": "b", "name": "m", "env": {"name": "n"}}, "m"),
        ({f"/nix/store/{'0' * 32}-y-1.drv": {"builder": "b"}}, "y-1"),
        ({"version": 4, "derivations": {f"{'0' * 32}-y-1.drv": {"builder": "b"}}}, "y-1"),
    ],
    ids=["file", "variable", "key", "path", "newer"],
)
def test_its_name_is_told_in_many_ways(
    document: dict[str, object], name: str, tmp_path: Path
) -> None:
    assert read(tmp_path, document).name == name


def test_the_name_of_a_file_in_a_store_has_no_hash(tmp_path: Path) -> None:
    assert read(tmp_path, {"builder": "b"}, name=f"{'0' * 32}-hello-2.json").name == "hello-2"


def test_structured_attributes_are_seen(tmp_path: Path) -> None:
    found = read(tmp_path, {"builder": "b", "structuredAttrs": {"a": 1}})
    assert dict(found.derivation.environment) == {"__json": ""}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "'{}': no derivation: no 'Derive(' at byte 0"),
        (b"Derive([", "'{}': no derivation: no '(' at byte 8"),
        (b"{", "'{}': not JSON: Expecting property name enclosed in double quotes at byte 1"),
        (b"{}", "'{}': 0 derivations, one is needed"),
        (b'{"a": {}, "b": {}}', "'{}': 2 derivations, one is needed"),
        (b'{"a": 1}', "a: want an object, got a number"),
        (b'{"builder": 1}', "'{}': builder: want a string, got a number"),
        (b'{"builder": "b", "args": [1]}', "'{}': args: want a string, got a number"),
        (b'{"builder": "b", "env": {"a": {}}}', "'{}': env: a: neither a text nor a number"),
        (b'{"builder": "b", "env": {"a": 1.5}}', "'{}': env: a: neither a text nor a number"),
        (b'{"builder": "b", "outputs": {"out": 1}}', "'{}': out: want an object, got a number"),
    ],
)
def test_all_else_is_none(content: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_derivation(path)
    assert str(caught.value).startswith(f"shell image: {why.format(path)}")


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^shell image: .*/none: No such file or directory$"):
        read_derivation(tmp_path / "none")
