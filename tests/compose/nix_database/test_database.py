"""The bytes of a database depend on its rows alone, and SQLite finds nothing wrong with them."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rootrun.compose.nix_database.database import Row, database_of
from tests.support.program import run_python

# What SQLite 3.40, 3.43, 3.46 and 3.50 gave: another library must give the same.
_KNOWN = {
    0: "e93957a322336679",
    1: "739aba8dd848b55e",
    40: "86191581482e82a1",
    3000: "d462792e0f384158",
}


def rows(count: int) -> list[Row]:
    """Return rows of any shape: with long keys, rows of several pages, and many references."""
    hashes = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(count)]
    paths = [f"/nix/store/{h[:32]}-{'n' * (i % 150)}" for i, h in enumerate(hashes)]
    return [
        Row(
            path=path,
            hash=f"sha256:{hashes[number]}",
            registration_time_s=1,
            deriver=None if number % 3 else f"{path}.drv",
            nar_bytes=1 << number % 60,
            ultimate=None,
            signatures=None if number % 7 else "key:" + "s" * (number * 37 % 9000),
            content_address=None,
            references=frozenset([paths[(number * 7 + n * n) % count] for n in range(number % 12)]),
            outputs=frozenset([("out", path), ("dev", path)] if number % 5 == 0 else []),
        )
        for number, path in enumerate(paths)
    ]


@contextmanager
def opened(database: bytes) -> Iterator[sqlite3.Connection]:
    """Open ``database``."""
    connection = sqlite3.connect(":memory:")
    connection.deserialize(database)
    yield connection
    connection.close()


@pytest.mark.parametrize("count", _KNOWN)
def test_the_bytes_are_those_that_other_versions_of_sqlite_gave(count: int) -> None:
    assert hashlib.sha256(database_of(rows(count))).hexdigest()[:16] == _KNOWN[count]


@pytest.mark.parametrize("count", [0, 1, 40, 3000])
def test_sqlite_finds_all_rows_and_nothing_wrong(count: int) -> None:
    given = rows(count)
    with opened(database_of(reversed(given))) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        paths = {
            path: number for number, path in connection.execute("select id, path from ValidPaths")
        }
        assert paths == {row.path: n for n, row in enumerate(sorted(given), start=1)}
        references = connection.execute("select referrer, reference from Refs").fetchall()
        assert {*references} == {
            (paths[row.path], paths[to]) for row in given for to in row.references
        }
        found = connection.execute("select path, sigs, narSize from ValidPaths").fetchall()
        assert {*found} == {(row.path, row.signatures, row.nar_bytes) for row in given}


def test_rows_can_be_added_and_deleted_afterwards() -> None:
    with opened(database_of(rows(300))) as connection:
        connection.execute("pragma foreign_keys = on")
        for row in rows(300)[:50]:
            connection.execute(
                "delete from Refs where reference = (select id from ValidPaths where path = ?)",
                (row.path,),
            )
            connection.execute("delete from ValidPaths where path = ?", (row.path,))
        connection.execute(
            "insert into ValidPaths (path, hash, registrationTime) values ('x', 'y', 1)"
        )
        (newest,) = connection.execute("select id from ValidPaths where path = 'x'").fetchone()
        assert newest == 301
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]


def test_it_can_be_read_where_nothing_can_be_written() -> None:
    assert database_of([])[18:20] == b"\1\1"


@pytest.mark.parametrize(
    ("lack", "message"),
    [
        ("sys.modules['sqlite3'] = None", "--nix-db: import of sqlite3 halted"),
        (
            "import sqlite3; sqlite3.Connection = type('Connection', (), {})",
            f"--nix-db: SQLite {sqlite3.sqlite_version}: was built without SQLITE_SERIALIZE",
        ),
    ],
    ids=["module", "serialize"],
)
def test_a_python_that_lacks_what_is_needed_is_told(lack: str, message: str) -> None:
    source = f"""
import sys
{lack}
from rootrun.compose.nix_database.database import require_sqlite
try:
    require_sqlite()
except Exception as error:
    print(type(error).__name__, error)
"""
    assert run_python(source).stdout.decode().startswith(f"UsageError {message}")
