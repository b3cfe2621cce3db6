"""``--references``: the paths of a store that a layer mentions are in it, and what they need."""

import json
import os
from pathlib import Path

import pytest

from tests.support.image_check import assert_image_valid
from tests.support.store import Store
from tests.support.tarball import directory, file, symlink
from tests.support.workplace import Workplace, busybox_layer, layers_of, top_layer

pytestmark = pytest.mark.userns


@pytest.fixture
def store(public_path: Path) -> Store:
    """A store: a program that needs a library, which needs data; a link to it; and another."""
    store = Store(directory=public_path / "store")
    data = store.add("data.txt", b"data\n")
    library = store.add(
        "library", {"lib/one.so": b"1" * 5000, "lib/x": "one.so"}, references=[data]
    )
    program = store.add("program", {"bin/program*": b"#!/bin/sh\n"}, references=[library])
    store.add("other", {"file": b"other\n"})
    link = store.directory / f"{'1' * 32}-link"
    link.symlink_to(program)
    store.graph[os.fspath(link)] = [os.fspath(program)]
    store.write_closure(public_path / "graph.json")
    return store


def _path(store: Store, name: str) -> str:
    (path,) = (path for path in store.graph if path.endswith(f"-{name}"))
    return path


def _build(place: Workplace, store: Store, script: str, *args: str | Path) -> Path:
    graph = store.directory.parent / "graph.json"
    image = place.build(script, "--references", graph, *args)
    assert_image_valid(image)
    return image


def _brought(image: Path, store: Store) -> list[str]:
    """Return the names of the store's paths in the new layer, without their hashes."""
    prefix = os.fspath(store.directory)[1:] + "/"
    names = [name.removeprefix(prefix) for name in top_layer(image) if name.startswith(prefix)]
    return sorted(name.rstrip("/")[33:] for name in names if name and "/" not in name[:-1])


@pytest.mark.parametrize("rootfs", ["overlay", "copy"])
def test_what_a_file_mentions_is_brought_in(
    rootfs: str, any_workplace: Workplace, store: Store
) -> None:
    program = _path(store, "program")
    script = f"mkdir /d; echo 'exec {program}/bin/program' > /d/start; chown 7:7 /d/start"
    options = ["--rootfs", rootfs, "--owner", "keep"]
    image = _build(any_workplace, store, script, *options)

    assert _brought(image, store) == ["data.txt", "library", "program"]
    layer = top_layer(image)
    below = {name: layer[name] for name in layer if name.startswith("tmp/")}
    assert {(member.uid, member.gid, member.mtime) for member in below.values()} == {(0, 0, 1)}
    assert layer[f"{program[1:]}/bin/"].mode == 0o555
    assert layer[f"{program[1:]}/bin/program"].mode == 0o555
    assert layer[_path(store, "data.txt")[1:]].mode == 0o444
    assert layer[f"{_path(store, 'library')[1:]}/lib/x"].linkname == "one.so"
    assert (layer["d/start"].uid, layer["d/start"].gid) == (7, 7)


@pytest.mark.parametrize(
    ("script", "brought"),
    [
        ("ln -s {other}/file /link", ["other"]),
        ("mkdir -p /copy{other}", ["other"]),
        ("ln -s {link} /l", ["data.txt", "library", "link", "program"]),
        ("echo {other} | cut -c 1-30 > /cut; echo {other} > /x; rm /x", []),
        ("echo {other} > /tmp/big; dd if=/dev/zero bs=1M count=3 >> /tmp/big 2>&1", ["other"]),
    ],
    ids=["target of a symlink", "name", "a link in the store", "nothing", "a large file"],
)
def test_mentioned_is_what_has_the_hash(
    script: str, brought: list[str], workplace: Workplace, store: Store
) -> None:
    paths = {name: _path(store, name) for name in ("other", "link")}
    image = _build(workplace, store, script.format(**paths))
    assert _brought(image, store) == brought
    if "link" in brought:
        assert top_layer(image)[paths["link"][1:]].linkname == _path(store, "program")


def test_what_the_configuration_mentions_is_brought_in(workplace: Workplace, store: Store) -> None:
    image = _build(workplace, store, "true", "--cmd", json.dumps([f"{_path(store, 'other')}/file"]))
    assert _brought(image, store) == ["other"]


def test_what_the_history_mentions_is_not(workplace: Workplace, store: Store) -> None:
    """It tells what was copied in."""
    other = Path(_path(store, "other"))
    graph = store.directory.parent / "graph.json"
    done = workplace.run("--references", graph, "--copy", other, "-o", "out.tar")
    assert done.returncode == 0, done.stderr.decode()
    assert [*top_layer(workplace.path / "out.tar")] == ["file"]


def test_what_the_base_has_is_not_brought_in(workplace: Workplace, store: Store) -> None:
    program, library = _path(store, "program"), _path(store, "library")
    workplace.base(
        "base.tar",
        busybox_layer(
            directory("stores"),
            file(f"stores/{Path(program).name}", b"as the base has it"),
            symlink(os.fspath(store.directory)[1:], "/stores"),
        ),
    )
    image = _build(workplace, store, f"echo {program} > /x")
    assert [*top_layer(image)] == [
        "stores/",
        *sorted([f"stores/{Path(_path(store, 'data.txt')).name}", *_library_of(library)]),
        "x",
    ]


def _library_of(library: str) -> list[str]:
    name = f"stores/{Path(library).name}"
    return [f"{name}/", f"{name}/lib/", f"{name}/lib/one.so", f"{name}/lib/x"]


def test_each_of_several_layers_has_what_it_mentions_first(
    workplace: Workplace, store: Store
) -> None:
    workplace.base()
    workplace.write("one.sh", f"echo {_path(store, 'library')} > /one")
    workplace.write("two.sh", f"echo {_path(store, 'program')} > /two")
    graph = store.directory.parent / "graph.json"
    args = ["--from", "base.tar", "--script", "one.sh", "--script", "two.sh", "-o", "out.tar"]
    done = workplace.run(*args, "--references", graph)
    assert done.returncode == 0, done.stderr.decode()
    assert _brought(workplace.path / "out.tar", store) == ["program"]
    assert len(layers_of(workplace.path / "out.tar")) == 3


def test_bytes_are_the_same_for_everybody(
    root_workplace: Workplace, lone_workplace: Workplace, workplace: Workplace, store: Store
) -> None:
    """And ``--check`` brings in the same the second time."""
    script = f"echo {_path(store, 'program')} > /x"
    images = [
        _build(place, store, script, "--check", "--name", "x")
        for place in (root_workplace, lone_workplace, workplace)
    ]
    assert len({image.read_bytes() for image in images}) == 1


def test_step_cache_knows_the_graph_by_what_is_in_it(workplace: Workplace, store: Store) -> None:
    options = ["--step-cache", "--cache-dir", "cache", "--json"]
    workplace.base()
    workplace.write("one.sh", f"echo {_path(store, 'program')} > /x")
    graph = store.directory.parent / "graph.json"
    args = ["--from", "base.tar", "--script", "one.sh", "-o", "out.tar", *options]

    def is_cached(*more: str) -> bool:
        done = workplace.run(*args, "--references", graph, *more)
        assert done.returncode == 0, done.stderr.decode()
        (layer,) = json.loads(done.stdout)["layers"]
        return bool(layer["cached"])

    assert not is_cached()
    assert is_cached()
    assert is_cached("--cmd", '["/bin/x"]')
    assert not is_cached("--cmd", json.dumps([_path(store, "other")]))
    store.add("new", b"new\n")
    store.write_closure(graph)
    assert not is_cached()
    assert is_cached()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not JSON"),
        ('{"/opt/x": []}', "/opt/x: its name does not begin with the hash of a path"),
        (f'{{"/s/{"0" * 33}-x": []}}', "its name does not begin with the hash of a path"),
        (f'{{"s/{"0" * 32}-x": []}}', "has no graph of references in it"),
        (f'{{"/s/{"0" * 32}-x": ["/s/y"]}}', "/s/y: is missing"),
    ],
)
def test_what_is_no_graph_is_refused(content: str, why: str, workplace: Workplace) -> None:
    graph = workplace.write("graph", content)
    done = workplace.run("--references", graph, "-o", "out.tar", "--", "/bin/true")
    assert done.returncode == 125
    assert done.stderr.decode().startswith("rootrun: error: --references: ")
    assert why in done.stderr.decode()
    assert not (workplace.path / "out.tar").exists()


def test_path_that_is_not_there_is_named(workplace: Workplace, store: Store) -> None:
    gone = f"{store.directory}/{'2' * 32}-gone"
    store.graph[gone] = []
    store.write_closure(store.directory.parent / "graph.json")
    workplace.base()
    workplace.write("setup.sh", f"echo {gone} > /x")
    args = ["--from", "base.tar", "--script", "setup.sh", "-o", "out.tar"]
    done = workplace.run(*args, "--references", store.directory.parent / "graph.json")
    assert done.returncode == 125
    error = f"rootrun: error: --references: {gone}: No such file or directory\n"
    assert done.stderr.decode().endswith(error)
