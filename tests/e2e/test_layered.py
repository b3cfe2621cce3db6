"""``rootrun layered``: store paths in layers of their own, links and scripts on top."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from tests.support.image_check import CheckedImage, assert_image_valid, layer_names
from tests.support.store import Store
from tests.support.tarball import directory, symlink
from tests.support.workplace import Workplace, busybox_layer, config_of, layers_of, manifest_of


@pytest.fixture
def store(public_path: Path) -> Store:
    """A store with a program, its library, and a file; all refer to each other in a line."""
    store = Store(directory=public_path / "store")
    data = store.add("data.txt", b"data\n")
    library = store.add(
        "library-1", {"lib/one.so": b"1" * 5000, "lib/one.so.1": "one.so"}, references=[data]
    )
    store.add(
        "hello-2.10",
        {
            "bin/hello*": b"#!/bin/sh\necho hello\n",
            "bin/hi": "hello",
            "share/doc/hello": b"read",
        },
        references=[library],
    )
    store.write_closure(public_path / "closure.json")
    return store


def _layered(
    place: Workplace, store: Store, *args: str | Path, output: str = "out.tar"
) -> CheckedImage:
    """Run ``rootrun layered`` on the closure of ``store``, which must work."""
    done = place.run(*_argv(store, "-o", output, *args))
    assert done.returncode == 0, done.stderr.decode()
    image = assert_image_valid(place.path / output)
    assert done.stdout.decode().strip() == image.config_digest
    return image


def _argv(store: Store, *args: str | Path) -> list[str | Path]:
    closure = store.directory.parent / "closure.json"
    return ["layered", "--closure", closure, "--store-dir", store.directory, *args]


def _of(store: Store, name: str) -> str:
    (path,) = (path for path in store.graph if path.endswith(name))
    return path


def _tops(store: Store, layer: bytes) -> list[str]:
    """Return the names of the store paths in ``layer``, without hash."""
    prefix = os.fspath(store.directory).lstrip("/") + "/"
    names = [name.removeprefix(prefix) for name in layer_names(layer) if name.startswith(prefix)]
    return [name.partition("-")[2] for name in names if name and "/" not in name.rstrip("/")]


def _members(layer: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return {member.name: member for member in archive}


def test_each_path_has_a_layer_and_links_are_on_top(any_workplace: Workplace, store: Store) -> None:
    hello = _of(store, "hello-2.10")

    image = _layered(any_workplace, store, "--contents", hello)

    assert [_tops(store, layer) for layer in image.layers] == [
        ["data.txt"],
        ["library-1"],
        ["hello-2.10"],
        [],
    ]
    top = _members(image.layers[-1])
    assert top["bin/hello"].linkname == f"{hello}/bin/hello"
    assert top["bin/hi"].linkname == f"{hello}/bin/hi"
    assert top["share/doc"].isdir()
    assert sorted(top) == ["bin", "bin/hello", "bin/hi", "share", "share/doc", "share/doc/hello"]
    assert image.names[0].startswith("hello-2-10:")


def test_entries_are_as_in_the_store_but_root_s_and_old(workplace: Workplace, store: Store) -> None:
    """AC23, AC5: modes and links are the store's; R68, R78: what is above comes first."""
    image = _layered(workplace, store)

    library = _members(image.layers[1])
    top = _of(store, "library-1").lstrip("/")
    assert [*library][-4:] == [top, f"{top}/lib", f"{top}/lib/one.so", f"{top}/lib/one.so.1"]
    assert library[f"{top}/lib/one.so.1"].linkname == "one.so"
    modes = {name.removeprefix(top): member.mode for name, member in library.items()}
    assert (modes[""], modes["/lib"], modes["/lib/one.so"]) == (0o555, 0o555, 0o444)
    above = [*library][:-4]
    assert above == [*_parents(store)]
    assert {library[name].mode for name in above} == {0o755}
    for member in library.values():
        assert (member.uid, member.gid, member.mtime) == (0, 0, 1), member.name


def _parents(store: Store) -> list[str]:
    parts = store.directory.parts[1:]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def test_owner_and_time_are_those_asked_for(workplace: Workplace, store: Store) -> None:
    """AC27: a store of somebody else's."""
    image = _layered(workplace, store, "--owner", "1000:2000", "--timestamp", "77")

    members = [member for layer in image.layers for member in _members(layer).values()]
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(1000, 2000, 77)}


def test_image_is_the_same_for_everybody(
    root_workplace: Workplace, lone_workplace: Workplace, store: Store
) -> None:
    """R22, R53, AC48: neither who runs it nor how the closure is told makes a difference."""
    args = ("--contents", _of(store, "hello-2.10"), "--name", "x")
    first = _layered(root_workplace, store, *args)

    closure = store.directory.parent / "closure.json"
    store.write_registration(closure)
    second = _layered(lone_workplace, store, *args)

    assert first == second


def test_hard_links_are_whole_files(workplace: Workplace, store: Store, public_path: Path) -> None:
    """R38: whether a store shares equal files or not, the layers are the same."""
    first = _layered(workplace, store)
    hello = Path(_of(store, "hello-2.10"))
    os.link(hello / "share/doc/hello", public_path / "shared")

    assert _layered(workplace, store) == first


def test_no_more_layers_than_asked_for(workplace: Workplace, store: Store) -> None:
    """AC18, AC17, AC19: two for the store, one for the links; what is shared is the same layer."""
    all_apart = _layered(workplace, store, "--layering", "popularity")

    image = _layered(workplace, store, "--layering", "popularity", "--max-layers", "2")

    assert [_tops(store, layer) for layer in image.layers] == [
        ["data.txt"],
        ["hello-2.10", "library-1"],
    ] or sorted(_tops(store, image.layers[1])) == ["hello-2.10", "library-1"]
    assert image.layers[0] == all_apart.layers[0]


def test_pipeline_decides(workplace: Workplace, store: Store) -> None:
    pipeline = workplace.write(
        "pipeline.json",
        f"""[
      ["remove_paths", ["{_of(store, "data.txt")}"]], ["popularity_contest"], ["reverse"]
    ]""",
    )

    image = _layered(workplace, store, "--pipeline", pipeline)

    assert [_tops(store, layer) for layer in image.layers] == [["hello-2.10"], ["library-1"]]


def test_base_s_links_are_followed_and_its_layers_kept(
    any_workplace: Workplace, store: Store
) -> None:
    """AC54, R55, R85: /bin of the base leads to /usr/bin, and does so afterwards."""
    base = any_workplace.base("base.tar", busybox_layer(directory("opt"), symlink("sbin", "bin")))
    args = ("--from", base, "--contents", _of(store, "hello-2.10"))

    image = _layered(any_workplace, store, *args, *any_workplace.options)

    assert image.layers[0] == layers_of(base)[0]
    assert len(image.layers) == 5
    top = _members(image.layers[-1])
    assert "bin/hello" in top
    assert not any(name.startswith("sbin") for name in top)


def test_script_runs_as_root_on_top(any_workplace: Workplace, store: Store) -> None:
    """AC25, AC26, AC28: fakeRootCommands, with / as / and owners that are kept."""
    any_workplace.base()
    any_workplace.write(
        "setup.sh", "#!/bin/sh\nset -e\n/bin/hello > /said\nchown 12345:12346 /said\n"
    )
    args = ("--from", "base.tar", "--contents", _of(store, "hello-2.10"), "--script", "setup.sh")

    image = _layered(any_workplace, store, *args, *any_workplace.options)

    said = _members(image.layers[-1])["said"]
    assert (said.uid, said.gid, said.size) == (12345, 12346, 6)
    assert "bin/hello" in _members(image.layers[-1]), "the links are in the same layer"
    assert len(image.layers) == 5


def test_extra_script_sees_the_store_and_makes_a_layer(
    any_workplace: Workplace, store: Store
) -> None:
    any_workplace.write("extra.sh", f"readlink -f bin/hello > to; ls .{store.directory} > seen\n")
    contents = ("--contents", _of(store, "hello-2.10"))
    image = _layered(any_workplace, store, *contents, "--extra-script", "extra.sh")
    with tarfile.open(fileobj=io.BytesIO(image.layers[-1])) as layer:
        said = {n: (layer.extractfile(n) or io.BytesIO()).read().decode() for n in ("to", "seen")}
    assert said["to"] == f"{_of(store, 'hello-2.10')}/bin/hello\n"
    assert said["seen"].split() == sorted(path.rpartition("/")[2] for path in store.graph)
    any_workplace.write("alone.sh", "touch alone\n")
    alone = _layered(any_workplace, store, "--extra-script", "alone.sh", "--no-store-paths")
    assert [layer_names(layer) for layer in alone.layers] == [["alone"]]


@pytest.mark.parametrize(
    "output", ["oci:layout", "oci-archive:out.oci"], ids=["layout", "oci archive"]
)
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_other_outputs_have_the_same_layers(
    workplace: Workplace, store: Store, output: str, compression: str
) -> None:
    """AC3: one configuration, whatever the form."""
    plain = _layered(workplace, store)

    done = workplace.run(*_argv(store, "-o", output, "--compression", compression))

    assert done.returncode == 0, done.stderr.decode()
    image = assert_image_valid(workplace.path / output.partition(":")[2])
    assert image.layers == plain.layers
    assert image.config == plain.config


def test_store_can_be_left_out(workplace: Workplace, store: Store) -> None:
    """AC34, AC35: the links lead to a store that is mounted when the image runs."""
    image = _layered(workplace, store, "--no-store-paths", "--contents", _of(store, "hello-2.10"))

    (layer,) = image.layers
    assert "bin/hello" in _members(layer)


def test_contents_from_elsewhere_are_copied(workplace: Workplace, store: Store) -> None:
    """AC31: a bare directory, and a plain file."""
    (workplace.path / "more").mkdir()
    workplace.write("more/hello.txt", "hi")
    plain = workplace.write("plain.txt", "plain")

    image = _layered(workplace, store, "--contents", "more", "--contents", plain)

    assert sorted(_members(image.layers[-1])) == ["hello.txt", "plain.txt"]


def test_configuration_and_history_tell_of_the_store(workplace: Workplace, store: Store) -> None:
    hello = f"{_of(store, 'hello-2.10')}/bin/hello"

    _layered(workplace, store, "--cmd", f'["{hello}"]', "--env", "A=B", "--created", "@5")

    config = config_of(workplace.path / "out.tar")
    assert config["config"] == {"Cmd": [hello], "Env": ["A=B"]}
    history = config["history"]
    assert isinstance(history, list)
    assert history[0] == {
        "created": "1970-01-01T00:00:05Z",
        "created_by": f"rootrun layered {_of(store, 'data.txt')}",
    }
    assert manifest_of(workplace.path / "out.tar")["RepoTags"] == [
        f"layered:{_tag(workplace.path / 'out.tar')}"
    ]


def _tag(archive: Path) -> str:
    return str(manifest_of(archive)["Config"])[:32]
