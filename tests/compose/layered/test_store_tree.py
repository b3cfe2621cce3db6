"""Sizes that are known before anything is read: of the tar, and of the Nix archive."""

import os
import subprocess
from pathlib import Path

import pytest

from rootrun.compose.layered.graph import StorePath
from rootrun.compose.layered.store_tree import END_BYTES, measure, parents_bytes, store_changes
from rootrun.layer.pack import pack_layer
from rootrun.layer.policy import LayerPolicy
from tests.support.require import require_program
from tests.support.store import Files, Store

_LONG = "x" * 120
_TREES: dict[str, Files | bytes] = {
    "file": b"content",
    "empty": b"",
    "tree": {"bin/run*": b"12345678", "lib/a": b"", "lib/b": "a", "doc/x": b"1234567"},
    "names": {f"{_LONG}/{_LONG}": b"y" * 513, "link": _LONG + _LONG, "\udcff": b"z", "b": "/b"},
}


@pytest.mark.parametrize("policy", [LayerPolicy(), LayerPolicy(uid=3_000_000, gid=7)])
@pytest.mark.parametrize("name", _TREES)
def test_sizes_are_those_that_are_written(name: str, policy: LayerPolicy, tmp_path: Path) -> None:
    store = Store(directory=tmp_path / "store")
    path = StorePath(os.fspath(store.add(name, _TREES[name])))
    store_fd = os.open(store.directory, os.O_RDONLY)
    measured = measure(path, store_fd=store_fd, policy=policy)
    os.close(store_fd)

    directory = os.fspath(store.directory)
    written: list[bytes] = []
    changes = (change for _, change in store_changes([path], store=directory, policy=policy))
    pack_layer(changes, lambda piece: written.append(bytes(piece)), advance=lambda _: None)

    above = parents_bytes(directory, policy)
    assert len(b"".join(written)) == above + measured.tar_bytes + END_BYTES
    dumped = subprocess.run(
        [require_program("nix-store"), "--dump", path], check=True, capture_output=True
    )
    assert measured.archive_bytes == len(dumped.stdout)
