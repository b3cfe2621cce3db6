"""``rootrun layered`` refuses what cannot be in one line, before it packs anything."""

import os
from pathlib import Path

import pytest

from tests.support.store import Store
from tests.support.workplace import Workplace, busybox_layer


@pytest.fixture
def store(public_path: Path) -> Store:
    """A store with two paths."""
    store = Store(directory=public_path / "store")
    store.add("b", {"bin/b": b"b"}, references=[store.add("a", b"a")])
    store.write_closure(public_path / "closure.json")
    return store


def _refusal(place: Workplace, store: Store, *args: str | Path) -> str:
    closure = store.directory.parent / "closure.json"
    done = place.run(
        *("layered", "--closure", closure, "--store-dir", store.directory, "-o", "out.tar", *args)
    )
    assert done.returncode == 125
    assert not (place.path / "out.tar").exists()
    assert done.stdout == b""
    return done.stderr.decode().splitlines()[0]


def test_too_few_layers_are_told_with_both_numbers(workplace: Workplace, store: Store) -> None:
    """AC17, R18, R73: as many as the base has leave none for the store."""
    base = workplace.base("base.tar", busybox_layer(), busybox_layer())

    said = _refusal(
        workplace, store, "--from", base, "--max-layers", "3", "--contents", _of(store, "b")
    )

    assert said == (
        "rootrun: error: --max-layers: 3: the base has 2 layers and 1 more are for the contents"
        " and scripts: at least one must remain for the store"
    )


def _of(store: Store, name: str) -> str:
    (path,) = (path for path in store.graph if path.endswith(f"-{name}"))
    return path


def test_path_that_is_missing_is_named(workplace: Workplace, store: Store) -> None:
    os.unlink(_of(store, "a"))

    said = _refusal(workplace, store)

    assert said == f"rootrun: error: --closure: {_of(store, 'a')}: No such file or directory"


def test_circle_is_named(workplace: Workplace, store: Store) -> None:
    store.graph[_of(store, "a")] = [_of(store, "b")]
    store.write_closure(store.directory.parent / "closure.json")

    assert "refers to itself through others" in _refusal(workplace, store)


def test_contents_that_are_not_in_the_closure_are_named(workplace: Workplace, store: Store) -> None:
    other = store.add("other", b"other")

    said = _refusal(workplace, store, "--contents", other)

    assert (
        said == f"rootrun: error: --contents: {os.fspath(other)!r}: {other} is not in the closure"
    )


def test_what_no_store_holds_is_named(workplace: Workplace, store: Store) -> None:
    os.mkfifo(store.directory / "0000-pipe")
    store.graph[f"{store.directory}/0000-pipe"] = []
    store.write_closure(store.directory.parent / "closure.json")

    assert "0000-pipe': not a file, directory or symlink" in _refusal(workplace, store)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--pipeline", '[["no"]]'], "--pipeline: 'no': no such operation"),
        (["--pipeline", "[["], "--pipeline: '[[': not JSON"),
        (["--pipeline", "[]", "--max-layers", "7"], "--max-layers: 7: not possible together with"),
        (["--pipeline", "[]", "--layering", "size"], "--layering: size: not possible together"),
        (["--layering", "color"], "--layering: 'color': not one of size, popularity"),
        (["--max-layers", "0"], "--max-layers: '0': not a number of at least 1"),
        (["--contents", "/no/such"], "--contents: /no/such: No such file or directory"),
        (["--closure", "/no/graph"], "--closure: '/no/graph': No such file or directory"),
        (["--store-dir", "store"], "--store-dir: 'store': not an absolute path"),
        (["--store-dir", "/opt/other"], "not a path in the store /opt/other"),
    ],
)
def test_option_that_cannot_be_is_named(
    args: list[str], why: str, workplace: Workplace, store: Store
) -> None:
    assert why in _refusal(workplace, store, *args)


def test_nothing_to_do_is_told(workplace: Workplace) -> None:
    done = workplace.run("layered", "-o", "out.tar")

    assert done.returncode == 125
    assert b"nothing to do: neither --closure FILE nor --contents PATH is given" in done.stderr


def test_links_of_two_contents_do_not_mix_files_and_directories(
    workplace: Workplace, store: Store
) -> None:
    one = store.add("one", {"share": b"a file"})
    two = store.add("two", {"share/doc": b"a directory"})
    store.write_closure(store.directory.parent / "closure.json")

    said = _refusal(workplace, store, "--contents", one, "--contents", two)

    assert said == f"rootrun: error: --contents: {two}/share: is a directory, {one}/share is none"
