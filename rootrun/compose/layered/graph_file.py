"""Files that tell what is in a closure and what refers to what, as Nix and others write them.

- text of ``exportReferencesGraph`` and ``closureInfo/registration``: of each path, a line each,
  the path, in the latter its hash and size, what it was built from or nothing, the number of
  references, and these;
- ``closureInfo/store-paths``: a path a line, no references;
- JSON of ``exportReferencesGraph`` with structured attributes (``.attrs.json``), of
  ``nix path-info --json`` (a list, an object by path, or that below ``info``), or by hand:
  ``{"/nix/store/a": ["/nix/store/b"], "/nix/store/b": []}``.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rootrun.compose.layered.graph import StorePath
from rootrun.errors import UsageError
from rootrun.namedtuple import NamedTuple

_USUAL_STORE = "/nix/store"


class Registration(NamedTuple):
    """A path as a file tells of it."""

    path: StorePath
    references: tuple[StorePath, ...]  # maybe itself among them
    size_bytes: int | None  # of its archive, None where the file does not tell


def read_closures(
    files: Iterable[Path], *, store: str | None, option: str = "--closure"
) -> dict[StorePath, Registration]:
    """Return what ``files``, named by ``option``, tell together of paths in a store, by path.

    ``store`` is its directory; None: whichever each path says, else that of Nix. Raises UsageError
    for what is no such file, for a path elsewhere, and for a reference to a path that none of them
    tells of.
    """
    found: dict[StorePath, Registration] = {}
    for file in files:
        where = f"{option}: {os.fspath(file)!r}"
        for one in _parse(_content(file, where), store=store or _USUAL_STORE, where=where):
            _check(one, store=store, where=where)
            known = found.get(one.path, one)
            size_bytes = one.size_bytes if known.size_bytes is None else known.size_bytes
            references = tuple(dict.fromkeys((*known.references, *one.references)))
            found[one.path] = Registration(one.path, references, size_bytes)
    for one in found.values():
        for reference in one.references:
            if reference not in found:
                raise UsageError(f"{option}: {reference}: is missing, and {one.path} refers to it")
    return found


def _content(file: Path, where: str) -> str:
    try:
        return os.fsdecode(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{where}: {error.strerror}") from error


def _check(one: Registration, *, store: str | None, where: str) -> None:
    directory, _, name = one.path.rpartition("/")
    is_elsewhere = directory != store if store else not directory.startswith("/")
    if is_elsewhere or name in ("", ".", "..") or "\0" in name:
        raise UsageError(
            f"{where}: {one.path!r:.200}: not a path in the store {store or _USUAL_STORE}",
            hint="--store-dir names another directory" if store else None,
        )


def _parse(content: str, *, store: str, where: str) -> Iterator[Registration]:
    if content.lstrip()[:1] in ("{", "["):
        try:
            document: object = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where}: not JSON: {error}") from error
        yield from _parse_json(document, store=store, where=where)
        return
    lines = content.split("\n")
    if lines[-1] == "":
        lines.pop()
    if all(line.startswith("/") for line in lines):
        yield from (Registration(StorePath(line), (), None) for line in lines)
        return
    yield from _parse_text(lines, where=where)


def _parse_text(lines: list[str], *, where: str) -> Iterator[Registration]:
    """Yield what the text form says; see the module."""
    position = 0
    while position < len(lines):
        start = position
        try:
            path, second = lines[position], lines[position + 1]
            has_hash = second != "" and not second.startswith("/")
            size_bytes = int(lines[position + 2]) if has_hash else None
            position += 4 if has_hash else 2
            count = int(lines[position])
            position += 1 + count
            references = lines[position - count : position]
            if count < 0 or len(references) < count:
                raise ValueError
        except (IndexError, ValueError):
            raise UsageError(f"{where}: line {start + 1}: not a registration of a path") from None
        yield Registration(StorePath(path), tuple(map(StorePath, references)), size_bytes)


def _parse_json(document: object, *, store: str, where: str) -> Iterator[Registration]:
    if isinstance(document, list):
        yield from (_parse_object(None, one, store=store, where=where) for one in document)
        return
    assert isinstance(document, dict)
    info = document.get("info")
    if isinstance(info, dict):
        document = info
    elif not all(key.startswith("/") for key in document):
        yield from _parse_json(_lists_of(document, where), store=store, where=where)
        return
    for path, one in document.items():
        yield _parse_object(path, one, store=store, where=where)


def _lists_of(document: Mapping[str, object], where: str) -> list[object]:
    """Return the items of all graphs in structured attributes, where there is more than these."""
    graphs = [
        value
        for value in document.values()
        if isinstance(value, list)
        and value
        and all(isinstance(one, dict) and "references" in one for one in value)
    ]
    if not graphs:
        raise UsageError(f"{where}: has no graph of references in it")
    return [one for graph in graphs for one in graph]


def _parse_object(path: str | None, value: object, *, store: str, where: str) -> Registration:
    """Return what ``value`` says of ``path``, or of the path it names itself."""
    members: Mapping[str, object] = value if isinstance(value, dict) else {"references": value}
    named = members.get("path") if path is None else path
    where = f"{where}: {named!r:.200}"
    references = members.get("references")
    if value is None or members.get("valid") is False:
        raise UsageError(f"{where}: is not valid in its store")
    if not isinstance(named, str):
        raise UsageError(f"{where}: not a path")
    if not isinstance(references, list) or not all(isinstance(one, str) for one in references):
        raise UsageError(f"{where}: references: not a list of paths")
    paths = [_in_store(str(one), store) for one in references]
    size_bytes = members.get("narSize")
    if size_bytes is not None and (not isinstance(size_bytes, int) or size_bytes < 0):
        raise UsageError(f"{where}: narSize: {size_bytes!r:.100}: not a size")
    return Registration(_in_store(named, store), tuple(paths), size_bytes)


def _in_store(path: str, store: str) -> StorePath:
    # Newer versions of Nix leave the directory out.
    return StorePath(path if path.startswith("/") else f"{store}/{path}")
