"""``rootrun layered -o -``: the image goes through stdout as it is made, and is stored nowhere."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.image_check import CheckedImage, assert_image_valid
from tests.support.peers import podman_load, skopeo_copy, skopeo_inspect, unpacked_by_umoci
from tests.support.program import clean_environment, installation
from tests.support.store import Store
from tests.support.traced import traced_run
from tests.support.workplace import Workplace, busybox_layer, manifest_of

_LARGE_BYTES = 8 << 20


@pytest.fixture
def store(public_path: Path) -> Store:
    """A store with a large path that a small one needs."""
    store = Store(directory=public_path / "store")
    large = store.add("large", {"lib/large.so": os.urandom(_LARGE_BYTES)})
    store.add("small", {"bin/small*": b"#!/bin/sh\n", "bin/other": "small"}, references=[large])
    store.write_closure(public_path / "closure.json")
    return store


def _argv(store: Store, *args: str | Path) -> list[str]:
    closure = store.directory.parent / "closure.json"
    given = ["layered", "--closure", closure, "--store-dir", store.directory, "--name", "x", *args]
    return [os.fspath(arg) for arg in given]


def _of(store: Store, name: str) -> str:
    (path,) = (path for path in store.graph if path.endswith(f"-{name}"))
    return path


def _streamed(place: Workplace, store: Store, *args: str | Path) -> CheckedImage:
    done = place.run(*_argv(store, "-o", "-", *args))
    assert done.returncode == 0, done.stderr.decode()
    (place.path / "streamed.tar").write_bytes(done.stdout)
    return assert_image_valid(place.path / "streamed.tar")


def _written(place: Workplace, store: Store, *args: str | Path) -> CheckedImage:
    done = place.run(*_argv(store, "-o", "written.tar", *args))
    assert done.returncode == 0, done.stderr.decode()
    return assert_image_valid(place.path / "written.tar")


def test_stream_is_the_image_that_a_file_has(any_workplace: Workplace, store: Store) -> None:
    """R22: the configuration, the layers and the name, for readers of both formats."""
    args = ("--contents", _of(store, "small"), "--cmd", '["/bin/small"]')

    streamed = _streamed(any_workplace, store, *args)

    assert streamed == _written(any_workplace, store, *args)
    assert len(streamed.layers) == 3


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_compressed_layers_are_streamed_too(
    workplace: Workplace, store: Store, compression: str
) -> None:
    plain = _streamed(workplace, store)

    assert _streamed(workplace, store, "--compression", compression) == plain


def test_base_is_in_the_stream(any_workplace: Workplace, store: Store) -> None:
    base = any_workplace.base("base.tar", busybox_layer())
    args = ("--from", base, "--contents", _of(store, "small"))

    streamed = _streamed(any_workplace, store, *args)

    assert streamed == _written(any_workplace, store, *args)
    assert len(streamed.layers) == 4


def test_script_on_top_sees_the_store(any_workplace: Workplace, store: Store) -> None:
    base = any_workplace.base("base.tar", busybox_layer())
    any_workplace.write("setup.sh", f"cat {_of(store, 'small')}/bin/small > /seen\n")
    args: list[str | Path] = ["--from", base, "--script", "setup.sh", *any_workplace.options]

    assert _streamed(any_workplace, store, *args) == _written(any_workplace, store, *args)


@pytest.mark.parametrize("output", ["streamed.tar", "written.tar"], ids=["stream", "file"])
def test_layers_that_the_base_has_as_well(workplace: Workplace, store: Store, output: str) -> None:
    """The blob is named once by the manifest, wherever it stands."""
    once = _written(workplace, store)
    os.rename(workplace.path / "written.tar", workplace.path / "base.tar")
    make = _streamed if output == "streamed.tar" else _written

    twice = make(workplace, store, "--from", "base.tar")

    assert twice.layers == once.layers * 2
    layers = manifest_of(workplace.path / output)["Layers"]
    assert isinstance(layers, list)
    assert layers[:2] == layers[2:]


@pytest.mark.root
def test_bytes_come_before_later_paths_are_read(root_workplace: Workplace, store: Store) -> None:
    """Nobody waits for the last layer: what changes while the first one is read is in the image."""
    last = Path(_of(store, "small")) / "bin/small"
    program = installation() / "bin" / "rootrun"
    with subprocess.Popen(
        [program, *_argv(store, "-o", "-")],
        stdout=subprocess.PIPE,
        env=clean_environment(None),
        cwd=root_workplace.path,
    ) as process:
        assert process.stdout is not None
        begun = process.stdout.read(_LARGE_BYTES // 2)  # more than it can be ahead comes behind
        last.chmod(0o755)
        last.write_bytes(b"#!/changed")
        last.chmod(0o555)
        (root_workplace.path / "early.tar").write_bytes(begun + process.stdout.read())
    assert process.returncode == 0

    image = assert_image_valid(root_workplace.path / "early.tar")

    assert b"#!/changed" in image.layers[1]


@pytest.mark.root
def test_nothing_is_stored_on_the_way(root_workplace: Workplace, store: Store) -> None:
    calls = traced_run(
        _argv(store, "-o", "-", "--contents", _of(store, "small")),
        "write,pwrite64,sendfile,copy_file_range,splice",
        cwd=root_workplace.path,
    )
    stored = sum(call.result for call in calls if not call.arguments.startswith("1<"))
    assert stored < _LARGE_BYTES // 8


@pytest.mark.root
def test_paths_and_links_alone_need_no_namespace(root_workplace: Workplace, store: Store) -> None:
    args = ("-o", "plain.tar", "--contents", _of(store, "small"))

    assert not traced_run(_argv(store, *args), "unshare", cwd=root_workplace.path)

    plain = assert_image_valid(root_workplace.path / "plain.tar")
    # A map that is asked for is made, and then the links are copied as in any run.
    assert plain == _written(root_workplace, store, *args[2:], "--idmap", "single")


@pytest.mark.parametrize("output", ["-", "out.tar"], ids=["stream", "file"])
def test_memory_does_not_grow_with_the_store(
    workplace: Workplace, store: Store, output: str
) -> None:
    """A path is larger than all the memory that the run may have."""
    with (store.directory / "0000-sparse").open("wb") as sparse:
        sparse.truncate(512 << 20)
    store.graph[f"{store.directory}/0000-sparse"] = []
    store.write_closure(store.directory.parent / "closure.json")
    argv = shlex.join(["rootrun", *_argv(store, "-o", output)])

    done = workplace.shell(f"set -e; ulimit -v 327680; {argv} | wc -c")

    assert done.returncode == 0, done.stderr.decode()
    assert b"error" not in done.stderr
    size_bytes = int(done.stdout) if output == "-" else (workplace.path / output).stat().st_size
    assert size_bytes > 512 << 20


@pytest.mark.root
@pytest.mark.peers
def test_peers_read_the_stream(root_workplace: Workplace, store: Store) -> None:
    place = root_workplace
    image = _streamed(place, store, "--contents", _of(store, "small"))
    archive = place.path / "streamed.tar"

    skopeo_copy(f"docker-archive:{archive}", f"oci:{place.path}/copied:image")
    copied = skopeo_inspect(f"oci:{place.path}/copied:image", config=True)
    assert copied["rootfs"] == image.config["rootfs"]
    assert podman_load(archive) == [f"localhost/{image.names[0]}"]
    with unpacked_by_umoci(archive, place.path) as rootfs:
        assert (rootfs / "bin/small").is_symlink()
        large = rootfs / _of(store, "large").lstrip("/") / "lib/large.so"
        assert large.stat().st_size == _LARGE_BYTES


def test_own_reader_reads_the_stream(any_workplace: Workplace, store: Store) -> None:
    first = _streamed(any_workplace, store)
    any_workplace.write("more.txt", "more")

    done = any_workplace.run("--from", "streamed.tar", "--copy", "more.txt:/", "-o", "on-top.tar")

    assert done.returncode == 0, done.stderr.decode()
    assert assert_image_valid(any_workplace.path / "on-top.tar").layers[:-1] == first.layers
