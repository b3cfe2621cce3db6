"""``--nix-db``: the paths of a registration, checked against the root and put into its database."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rootrun import log
from rootrun.compose.derivation import parse_derivation
from rootrun.compose.nix_database.database import SCHEMA, Row, database_of
from rootrun.compose.nix_database.existing import read_rows
from rootrun.compose.nix_database.nar import nar_of
from rootrun.compose.nix_database.registration import ValidPath
from rootrun.compose.nix_database.store_path import STORE, StorePath
from rootrun.compose.root_files import RootFiles
from rootrun.errors import ImageError, UsageError
from rootrun.layer.content import copy_content
from rootrun.layer.entry import EntryPath, join

_STORE = EntryPath(STORE.strip("/"))
_PLACE = EntryPath("nix/var/nix/db")
_DATABASE = join(_PLACE, "db.sqlite")
_LOG = join(_PLACE, "db.sqlite-wal")
_LOG_INDEX = join(_PLACE, "db.sqlite-shm")
_ROOTS = EntryPath("nix/var/nix/gcroots/docker")
_DERIVATION = ".drv"


def load(paths: Iterable[ValidPath], files: RootFiles, *, scratch: Path, mtime_s: int) -> None:
    """Register ``paths`` in the database of the root, which is made if there is none.

    Each must be in the root as it is registered: all of it is read. Rows that are there stay as
    they are; new ones have the time ``mtime_s``. Links in gcroots/docker keep the paths that no
    other one refers to from the garbage collector. ``scratch`` is an empty directory.

    Raises UsageError for a registration that the root contradicts, ImageError for a database in the
    root that cannot be merged.
    """
    registration = {registered.path: registered for registered in paths}
    known = _known_rows(files, scratch)
    _check(registration, known, files)
    rows: dict[str, Row] = {path: _row(new, files, mtime_s) for path, new in registration.items()}
    every = rows | known
    files.write(_DATABASE, database_of(every.values()), mode=0o644)
    log.info("nix database: %d paths registered, %d in all", len(every) - len(known), len(every))
    for left in (_LOG, _LOG_INDEX):  # it is merged, and would be merged again
        files.remove(left)
    for name, content, mode in (("schema", b"%d" % SCHEMA, 0o644), ("big-lock", b"", 0o600)):
        if not files.has(join(_PLACE, name)):
            files.write(join(_PLACE, name), content, mode=mode)
    for path in _unreferenced(registration.values()):
        link = join(_ROOTS, _name(path))
        if not files.has(link):
            files.link(link, path)


def _known_rows(files: RootFiles, scratch: Path) -> dict[str, Row]:
    if not files.has(_DATABASE):
        return {}
    schema = files.read(join(_PLACE, "schema")).strip()
    if schema != b"%d" % SCHEMA:
        raise ImageError(
            f"--nix-db: the image's database: schema {os.fsdecode(schema)!r}, known is {SCHEMA}"
        )
    for path in (_DATABASE, _LOG):
        if files.has(path):
            with files.opened(path) as fd:
                copy_content(fd, os.fspath(scratch / _name(path)), directory_fd=None)
    return read_rows(scratch / _name(_DATABASE))


def _check(
    registration: Mapping[StorePath, ValidPath], known: Mapping[str, Row], files: RootFiles
) -> None:
    """Raise UsageError for what the root, or its database, has otherwise; what is cheap first."""
    for path, registered in registration.items():
        for reference in sorted(registered.references):
            if reference not in registration and reference not in known:
                raise _refused(path, f"refers to {reference}, which is not registered")
        if path in known and known[path].hash != _hash(registered.nar_sha256):
            raise _refused(
                path,
                f"is {_hash(registered.nar_sha256)} as registered,"
                f" but {known[path].hash} in the image's database",
            )
        if not files.has(join(_STORE, _name(path))):
            raise _refused(path, "not in the image", hint="--copy can bring it")
    for registered in registration.values():
        _check_content(registered, files)


def _check_content(registered: ValidPath, files: RootFiles) -> None:
    store = files.tree.resolve_directory(_STORE)
    try:
        nar = nar_of(_name(registered.path), directory_fd=store.fd)
    except ValueError as error:
        raise _refused(registered.path, str(error)) from error
    if nar.sha256 != registered.nar_sha256:
        said = _hash(registered.nar_sha256)
        raise _refused(
            registered.path, f"is {_hash(nar.sha256)} in the image, registered is {said}"
        )
    if nar.size_bytes != registered.nar_bytes:
        sizes = f"{nar.size_bytes} bytes as a NAR, registered are {registered.nar_bytes}"
        raise _refused(registered.path, f"has {sizes}")


def _row(registered: ValidPath, files: RootFiles, mtime_s: int) -> Row:
    path = registered.path
    return Row(
        path=path,
        hash=_hash(registered.nar_sha256),
        registration_time_s=mtime_s,
        deriver=registered.deriver,
        nar_bytes=registered.nar_bytes,
        ultimate=None,
        signatures=None,
        content_address=None,
        references=frozenset(map(str, registered.references)),
        outputs=frozenset(_outputs(path, files) if path.endswith(_DERIVATION) else ()),
    )


def _outputs(path: StorePath, files: RootFiles) -> Iterator[tuple[str, str]]:
    """Return name and path of each output of a derivation, but for paths that are not known yet."""
    try:
        derivation = parse_derivation(files.read(join(_STORE, _name(path))))
    except ValueError as error:
        raise _refused(path, str(error)) from error
    return ((name, output) for name, output in derivation.outputs if output)


def _unreferenced(registered: Iterable[ValidPath]) -> list[StorePath]:
    paths = list(registered)
    referred = {to for path in paths for to in path.references if to != path.path}
    return sorted(path.path for path in paths if path.path not in referred)


def _hash(sha256: str) -> str:
    return f"sha256:{sha256}"


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _refused(path: str, why: str, *, hint: str | None = None) -> UsageError:
    return UsageError(f"--nix-db: {path}: {why}", hint=hint)
