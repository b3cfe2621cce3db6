"""``rootrun layered --from``: what the base has above the store stays as it is there."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.store import Store
from tests.support.tarball import directory
from tests.support.workplace import Workplace, busybox_layer


@pytest.mark.parametrize("output", ["out.tar", "oci:out.tar"], ids=["archive", "layout"])
def test_directories_of_the_base_keep_mode_and_owner(
    any_workplace: Workplace, public_path: Path, output: str
) -> None:
    store = Store(directory=public_path / "store")
    store.add("file", b"content")
    closure = store.write_closure(public_path / "closure.json")
    above = os.fspath(store.directory.parent).lstrip("/").split("/")
    parents = ["/".join(above[: count + 1]) for count in range(len(above))]
    given = [directory(parents[0], mode=0o1777)] if parents[0] != "tmp" else []
    given += [directory(parent, mode=0o2750, uid=7, gid=3_000_000) for parent in parents[1:]]
    base = any_workplace.base("base.tar", busybox_layer(*given))

    done = any_workplace.run(
        *("layered", "--closure", closure, "--store-dir", store.directory, "--from", base),
        *("-o", output),
    )

    assert done.returncode == 0, done.stderr.decode()
    image = assert_image_valid(any_workplace.path / "out.tar")
    with tarfile.open(fileobj=io.BytesIO(image.layers[-1])) as layer:
        found = {entry.name: (entry.mode, entry.uid, entry.gid, entry.mtime) for entry in layer}
    assert found[parents[0]] == (0o1777, 0, 0, 1)
    for parent in parents[1:]:
        assert found[parent] == (0o2750, 7, 3_000_000, 1)
    assert found[os.fspath(store.directory).lstrip("/")] == (0o755, 0, 0, 1)
