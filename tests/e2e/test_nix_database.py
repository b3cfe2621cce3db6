"""``--nix-db``: a real Nix finds in the image what it would have registered itself."""

import sqlite3
from pathlib import Path

import pytest

from tests.support.images import assert_image_valid
from tests.support.nix_closure import Closure, make_closure, nix
from tests.support.tarball import file, tarball
from tests.support.workplace import Workplace, busybox_layer, content_of, layers_of, top_layer

pytestmark = pytest.mark.userns
_DATABASE = "nix/var/nix/db/db.sqlite"


def image_of(closure: Closure, *options: str | Path, output: str = "out.tar") -> Path:
    """Return the image with all paths of the closure, registered."""
    place = closure.place
    place.write("registration", closure.registration)
    args = (*closure.copies, "--nix-db", "registration", "-o", output, *options)
    done = place.run(*args)
    assert done.returncode == 0, done.stderr.decode()
    return place.path / output


def unpacked(place: Workplace, *layers: bytes, into: str) -> Path:
    """Unpack layers, which delete files at most, and return where."""
    root = place.path / into
    for number, layer in enumerate(layers):
        place.write(f"{into}-{number}", layer)
        done = place.shell(f"mkdir -p {into}; tar -xf {into}-{number} -C {into}")
        assert done.returncode == 0, done.stderr.decode()
        for whiteout in list(root.rglob(".wh.*")):
            whiteout.with_name(whiteout.name.removeprefix(".wh.")).unlink()
            whiteout.unlink()
    return root


def dump(database: bytes, place: Workplace) -> list[str]:
    """Return the rows of a database, times of registration aside, with paths for their numbers."""
    connection = sqlite3.connect(place.write("dumped.sqlite", database))
    named = "(select path from ValidPaths where id = {})"
    queries = (
        "select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths",
        f"select {named.format('referrer')}, {named.format('reference')} from Refs",
        f"select {named.format('drv')}, id, path from DerivationOutputs",
    )
    rows = [str(row) for query in queries for row in connection.execute(query)]
    connection.close()
    return sorted(rows)


@pytest.mark.peers
@pytest.mark.parametrize("has_derivations", [False, True], ids=["outputs", "with derivations"])
def test_ac36_nix_verifies_and_knows_what_is_registered(
    has_derivations: bool, any_workplace: Workplace
) -> None:
    place = any_workplace
    closure = make_closure(place, has_derivations=has_derivations)
    image = image_of(closure)
    assert_image_valid(image)
    root = unpacked(place, *layers_of(image), into="root")
    assert nix(place, "nix-store", root, "--verify", "--check-contents") == ""
    for query in ("-qR", "--references", "--referrers"):
        options = ("-qR",) if query == "-qR" else ("-q", query)
        expected = nix(place, "nix-store", closure.root, *options, closure.top)
        assert sorted(nix(place, "nix-store", root, *options, closure.top).split()) == sorted(
            expected.split()
        )
    assert nix(place, "nix-store", root, "--dump-db") == nix(
        place, "nix-store", closure.root, "--dump-db", *sorted(closure.paths)
    )


@pytest.mark.peers
def test_rows_and_schema_are_those_that_nix_loads(workplace: Workplace) -> None:
    closure = make_closure(workplace, has_derivations=True)
    ours = content_of(image_of(closure), _DATABASE)
    root = unpacked(workplace, *layers_of(workplace.path / "out.tar"), into="theirs")
    workplace.shell("rm -r theirs/nix/var")
    load = "NIX_CONF_DIR=$PWD HOME=$PWD NIX_REMOTE=local?root=$PWD/theirs nix-store --load-db"
    done = workplace.shell(f"{load} < registration")
    assert done.returncode == 0, done.stderr.decode()
    theirs = (root / _DATABASE).read_bytes()
    assert dump(ours, workplace) == dump(theirs, workplace)
    assert shape(ours, workplace) == shape(theirs, workplace)


def shape(database: bytes, place: Workplace) -> list[object]:
    """Return tables with their columns and keys, indexes and triggers."""
    connection = sqlite3.connect(place.write("dumped.sqlite", database))
    found: list[object] = sorted(
        connection.execute("select type, name, tbl_name from sqlite_master")
    )
    for table in ("ValidPaths", "Refs", "DerivationOutputs"):
        for pragma in ("table_info", "foreign_key_list", "index_list"):
            found += sorted(connection.execute(f"pragma {pragma}({table})"))
    connection.close()
    return found


@pytest.mark.peers
def test_the_same_bytes_whoever_makes_it_and_in_any_order(workplace: Workplace) -> None:
    closure = make_closure(workplace)
    image = image_of(closure, "--check", "--timestamp", "7")
    lines = closure.registration.decode().splitlines(keepends=True)
    parts, position = [], 0
    while position < len(lines):
        end = position + 5 + int(lines[position + 4])
        parts.append("".join(lines[position:end]))
        position = end
    assert len(parts) == len(closure.paths)
    for number, part in enumerate(reversed(parts)):
        workplace.write(f"part-{number}", part)
    options = [word for n in range(len(parts)) for word in ("--nix-db", f"part-{n}")]
    done = workplace.run(
        *closure.copies, *options, "--timestamp", "7", "--rootfs", "copy", "-o", "again.tar"
    )
    assert done.returncode == 0, done.stderr.decode()
    assert layers_of(workplace.path / "again.tar") == layers_of(image)


@pytest.mark.peers
def test_paths_that_none_refers_to_are_kept_from_the_garbage_collector(
    workplace: Workplace,
) -> None:
    closure = make_closure(workplace)
    layer = top_layer(image_of(closure))
    name = closure.top.rpartition("/")[2]
    links = {path: entry.linkname for path, entry in layer.items() if "gcroots/docker/" in path}
    assert links == {
        "nix/var/nix/gcroots/docker/": "",
        f"nix/var/nix/gcroots/docker/{name}": closure.top,
    }


@pytest.mark.peers
@pytest.mark.parametrize("is_logged", [False, True], ids=["closed", "with a log"])
def test_the_database_of_the_base_is_merged(is_logged: bool, workplace: Workplace) -> None:
    closure = make_closure(workplace)
    own = workplace.write("own", "of the base")
    path = nix(workplace, "nix-store", closure.root, "--add", str(own)).strip()
    registered = nix(workplace, "nix-store", closure.root, "--dump-db", path).encode()
    base = image_of(closure._replace(registration=registered, paths=(path,)), output="base.tar")
    if is_logged:
        base = with_write_ahead_log(workplace, base)
    image = image_of(closure, "--from", base)
    root = unpacked(workplace, *layers_of(image), into="root")
    found = nix(workplace, "nix-store", root, "--dump-db").splitlines()
    assert {*found} >= {path, *closure.paths}
    assert ("nix/var/nix/db/.wh.db.sqlite-wal" in top_layer(image)) is is_logged
    # A second time nothing is new, and nothing changes.
    again = image_of(closure, "--from", image, output="again.tar")
    assert list(top_layer(again)) == []


def with_write_ahead_log(place: Workplace, base: Path) -> Path:
    """Return an image like ``base`` whose database has its rows in a log beside it."""
    root = unpacked(place, *layers_of(base), into="logged")
    database = root / _DATABASE
    connection = sqlite3.connect(database, isolation_level=None)
    rows = connection.execute("select * from ValidPaths").fetchall()
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma wal_autocheckpoint = 0")
    connection.execute("delete from ValidPaths")
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.execute("insert into ValidPaths values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows[0])
    files = [
        file(f"{_DATABASE}{suffix}", (database.parent / f"db.sqlite{suffix}").read_bytes())
        for suffix in ("", "-wal")
    ]
    connection.close()
    return place.base("logged.tar", busybox_layer(), *layers_of(base), tarball(*files))
