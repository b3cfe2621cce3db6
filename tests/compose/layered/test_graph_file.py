"""The forms of graphs: what Nix writes, and what one writes by hand."""

import json
from pathlib import Path

import pytest

from rootrun.compose.layered.graph_file import Registration, read_closures
from rootrun.errors import UsageError

_A, _B = "/nix/store/aaaa-a", "/nix/store/bbbb-b"
_HASH = "sha256:" + 52 * "0"
_OBJECTS = [
    {"path": _A, "narSize": 7, "references": [_A, _B], "closureSize": 16},
    {"path": _B, "narSize": 9, "references": []},
]
_BY_PATH = {str(one["path"]): {**one, "path": None} for one in _OBJECTS}
_BY_NAME = {
    "aaaa-a": {"narSize": 7, "references": ["aaaa-a", "bbbb-b"]},
    "bbbb-b": {"narSize": 9, "references": []},
}


def _read(tmp_path: Path, *contents: str) -> dict[str, Registration]:
    files = []
    for number, content in enumerate(contents):
        files.append(tmp_path / f"graph-{number}")
        files[-1].write_text(content)
    return {str(path): one for path, one in read_closures(files, store="/nix/store").items()}


@pytest.mark.parametrize(
    "content",
    [
        f"{_A}\n{_HASH}\n7\n\n2\n{_A}\n{_B}\n{_B}\n{_HASH}\n9\n/nix/store/d.drv\n0\n",
        json.dumps(_OBJECTS),
        json.dumps({"closure": _OBJECTS, "outputs": {"out": "/nix/store/x"}, "PATH": "/bin"}),
        json.dumps({key: {**one, "path": key} for key, one in _BY_PATH.items()}),
        json.dumps({"info": _BY_NAME, "storeDir": "/nix/store", "version": 2}),
    ],
    ids=["registration", "list", "structured attributes", "by path", "by name"],
)
def test_forms_with_sizes_tell_the_same(content: str, tmp_path: Path) -> None:
    assert _read(tmp_path, content) == {_A: (_A, (_A, _B), 7), _B: (_B, (), 9)}


@pytest.mark.parametrize(
    "content",
    [
        f"{_A}\n\n1\n{_B}\n{_B}\n\n0\n",
        f"{_A}\n/nix/store/d.drv\n1\n{_B}\n{_B}\n\n0\n",
        json.dumps({_A: [_B], _B: []}),
    ],
    ids=["exportReferencesGraph", "with derivers", "by hand"],
)
def test_forms_without_sizes_tell_the_same(content: str, tmp_path: Path) -> None:
    assert _read(tmp_path, content) == {_A: (_A, (_B,), None), _B: (_B, (), None)}


def test_list_of_paths_has_no_references(tmp_path: Path) -> None:
    assert _read(tmp_path, f"{_A}\n{_B}\n") == {_A: (_A, (), None), _B: (_B, (), None)}


def test_several_files_are_one_graph(tmp_path: Path) -> None:
    read = _read(tmp_path, f"{_A}\n{_B}\n", json.dumps({_A: [_B]}), json.dumps(_OBJECTS))

    assert read == {_A: (_A, (_B, _A), 7), _B: (_B, (), 9)}


def test_empty_file_is_an_empty_graph(tmp_path: Path) -> None:
    assert _read(tmp_path, "") == {}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (json.dumps({_A: [_B]}), f"{_B}: is missing, and {_A} refers to it"),
        ("/opt/x\n", "'/opt/x': not a path in the store /nix/store"),
        ("/nix/store\n", "'/nix/store': not a path in the store"),
        (f"{_A}/bin\n", "'/nix/store/aaaa-a/bin': not a path in the store"),
        ("/nix/store/..\n", "'/nix/store/..': not a path in the store"),
        (json.dumps({_A: None}), "is not valid in its store"),
        (json.dumps([{"path": _A, "valid": False}]), "is not valid in its store"),
        (json.dumps({_A: {"narSize": 3}}), "references: not a list of paths"),
        (json.dumps({_A: [3]}), "references: not a list of paths"),
        (json.dumps({_A: {"references": [], "narSize": -1}}), "narSize: -1: not a size"),
        (json.dumps([{"references": []}]), "None: not a path"),
        (json.dumps({"outputs": {}}), "has no graph of references in it"),
        ("{", "not JSON"),
        ("[" * 100000, "not JSON"),
        (f"{_A}\n\n", "line 1: not a registration of a path"),
        (f"{_A}\n\n2\n{_B}\n", "line 1: not a registration of a path"),
        (f"{_A}\n\n0\n{_B}\n\n-1\n", "line 4: not a registration of a path"),
        (f"{_A}\n\nx\n", "line 1: not a registration of a path"),
    ],
)
def test_what_is_no_closure_is_refused(content: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        _read(tmp_path, content)

    assert why in str(error.value)
    assert str(error.value).startswith("--closure: ")


def test_file_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="--closure: '/no/graph': No such file or directory"):
        read_closures([Path("/no/graph")], store="/nix/store")
