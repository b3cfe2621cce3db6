"""The database that an image has already: its rows, whoever wrote them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from rootrun.annotation import TYPE_CHECKING
from rootrun.compose.nix_database.database import COLUMNS, TABLES, Row, open_database
from rootrun.errors import ImageError

if TYPE_CHECKING:
    import sqlite3

_COLUMN_TYPES: tuple[type | tuple[type, ...], ...] = (
    *(int, str, str, int),
    *((str, type(None)), (int, type(None)), (int, type(None))),
    *((str, type(None)), (str, type(None))),
)
# What is in a file of others must not call functions, and cells must be where the pages end.
_CAUTIONS = ("trusted_schema = off", "cell_size_check = on", "writable_schema = off")


def read_rows(path: Path) -> dict[str, Row]:
    """Return the rows of the database at ``path`` by their paths.

    A write-ahead log beside it counts, and is merged into it: give it a copy. Raises ImageError
    for a database that is damaged, or has tables that would be lost.
    """
    import sqlite3

    connection = open_database(str(path))
    try:
        for caution in _CAUTIONS:
            connection.execute(f"pragma {caution}")
        _check_tables(connection)
        return _rows(connection)
    except sqlite3.Error as error:
        raise _refused(f"damaged: {error}") from error
    finally:
        connection.close()


def _check_tables(connection: "sqlite3.Connection") -> None:
    found = connection.execute("select name, type from sqlite_master where type != 'index'")
    kinds = {str(name): kind for name, kind in found}
    for name in TABLES:
        if kinds.get(name) != "table":
            raise _refused(f"damaged: no table {name}")
    for name, kind in kinds.items():
        if kind == "table" and name not in TABLES and not name.startswith("sqlite_"):
            raise _refused(f"has a table {name!r}, which could not be kept")


def _rows(connection: "sqlite3.Connection") -> dict[str, Row]:
    values = connection.execute(f"select id, {COLUMNS} from ValidPaths").fetchall()
    for row in values:
        if not all(map(isinstance, row, _COLUMN_TYPES)):
            raise _refused("damaged: a value of another type in ValidPaths")
    path_of = {row[0]: row[1] for row in values}
    references = _grouped(connection.execute("select referrer, reference from Refs"))
    outputs = _grouped(
        connection.execute("select drv, id || '', path || '' from DerivationOutputs")
    )
    referred = {to for found in references.values() for (to,) in found}
    if not path_of.keys() >= {*references, *referred, *outputs}:
        raise _refused("damaged: something is told of a path that is not there")
    rows = {}
    for number, path, digest, time_s, deriver, nar_bytes, ultimate, signatures, ca in values:
        rows[path] = Row(
            path=path,
            hash=digest,
            registration_time_s=time_s,
            deriver=deriver,
            nar_bytes=nar_bytes,
            ultimate=ultimate,
            signatures=signatures,
            content_address=ca,
            references=frozenset(path_of[reference] for (reference,) in references[number]),
            outputs=frozenset((str(name), str(output)) for name, output in outputs[number]),
        )
    return rows


def _grouped(rows: Iterable[tuple[object, ...]]) -> Mapping[object, list[tuple[object, ...]]]:
    groups: dict[object, list[tuple[object, ...]]] = defaultdict(list)
    for first, *others in rows:
        groups[first].append(tuple(others))
    return groups


def _refused(why: str) -> ImageError:
    return ImageError(f"--nix-db: the image's /nix/var/nix/db/db.sqlite: {why}")
