"""The file db.sqlite of a Nix store, written so that its bytes depend on the rows alone."""

from collections.abc import Iterable, Sequence

from rootrun.annotation import TYPE_CHECKING
from rootrun.compose.nix_database.sqlite_file import PAGE_BYTES, normalized
from rootrun.errors import UsageError
from rootrun.namedtuple import NamedTuple

if TYPE_CHECKING:
    import sqlite3

SCHEMA = 10  # of all of Nix 2; what the file "schema" beside the database says
_SCHEMA_ROOT = 1

# The columns of ValidPaths but for the id, in the order of the fields of Row.
COLUMNS = "path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca"
TABLES = {
    "ValidPaths": """
        id integer primary key autoincrement not null,
        path text unique not null,
        hash text not null,
        registrationTime integer not null,
        deriver text,
        narSize integer,
        ultimate integer,
        sigs text,
        ca text
    """,
    "Refs": """
        referrer integer not null,
        reference integer not null,
        primary key (referrer, reference),
        foreign key (referrer) references ValidPaths(id) on delete cascade,
        foreign key (reference) references ValidPaths(id) on delete restrict
    """,
    "DerivationOutputs": """
        drv integer not null,
        id text not null,
        path text not null,
        primary key (drv, id),
        foreign key (drv) references ValidPaths(id) on delete cascade
    """,
}
_INDEXES = {
    "IndexReferrer": "Refs(referrer)",
    "IndexReference": "Refs(reference)",
    "IndexDerivationOutputs": "DerivationOutputs(path)",
}
# Else a path that refers to itself could not be deleted: a reference restricts that.
_TRIGGER = """
    create trigger DeleteSelfRefs before delete on ValidPaths begin
        delete from Refs where referrer = old.id and reference = old.id;
    end
"""
_ROOTS = "select rootpage from sqlite_master where rootpage > 0"


class Row(NamedTuple):
    """A valid path, as the database has it."""

    path: str
    hash: str  # sha256:HEX, of the NAR
    registration_time_s: int
    deriver: str | None
    nar_bytes: int | None
    ultimate: int | None  # 1: built here
    signatures: str | None
    content_address: str | None
    references: frozenset[str]  # paths of other rows, or its own
    outputs: frozenset[tuple[str, str]]  # of a derivation: name and path of each


def require_sqlite() -> None:
    """Raise UsageError for a Python whose sqlite3 is missing, or cannot do what is needed."""
    try:
        import sqlite3
    except ImportError as error:  # as with Debian's python3-minimal
        hint = "this Python was installed, or built, without its module sqlite3"
        raise UsageError(f"--nix-db: {error}", hint=hint) from error
    if not hasattr(sqlite3.Connection, "serialize"):
        version = sqlite3.sqlite_version
        raise UsageError(f"--nix-db: SQLite {version}: was built without SQLITE_SERIALIZE")


def open_database(place: str) -> "sqlite3.Connection":
    """Open the SQLite database ``place``."""
    import sqlite3

    return sqlite3.connect(place, isolation_level=None)


def database_of(rows: Iterable[Row]) -> bytes:
    """Return the database of ``rows``: the same bytes for the same rows in any order.

    Each reference must be the path of a row.
    """
    ordered = sorted(rows, key=lambda row: row.path)
    connection = open_database(":memory:")
    try:
        connection.execute(f"pragma page_size = {PAGE_BYTES}")
        connection.execute("pragma encoding = 'UTF-8'")
        connection.execute("pragma auto_vacuum = none")
        connection.execute("begin")
        for name, columns in TABLES.items():
            connection.execute(f"create table {name} ({' '.join(columns.split())})")
        _insert(connection, ordered)
        # After the rows: what is sorted first is laid out alike by all versions of SQLite.
        for name, columns in _INDEXES.items():
            connection.execute(f"create index {name} on {columns}")
        connection.execute(" ".join(_TRIGGER.split()))
        connection.execute("commit")
        roots = [root for (root,) in connection.execute(_ROOTS)]
        return normalized(connection.serialize(), [_SCHEMA_ROOT, *roots])
    finally:
        connection.close()


def _insert(connection: "sqlite3.Connection", rows: Sequence[Row]) -> None:
    ids = {row.path: number for number, row in enumerate(rows, start=1)}
    connection.executemany(
        f"insert into ValidPaths (id, {COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(ids[row.path], *row[:-2]) for row in rows],
    )
    connection.executemany(
        "insert into Refs values (?, ?)",
        sorted((ids[row.path], ids[path]) for row in rows for path in row.references),
    )
    connection.executemany(
        "insert into DerivationOutputs values (?, ?, ?)",
        sorted((ids[row.path], *output) for row in rows for output in row.outputs),
    )
