"""Files that hold one derivation: a ``.drv`` of a store, or JSON.

JSON is what ``nix derivation show`` writes for one derivation, or an object of the same keys by
hand: ``name``, ``builder``, ``args``, ``env``, and ``outputs`` as ``{"out": {"path": PATH}}``.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from rootrun.compose.derivation import Derivation, parse_derivation
from rootrun.errors import ImageError, UsageError, told_as
from rootrun.image.document import (
    JsonObject,
    as_object,
    get_object,
    get_text,
    get_texts,
    parse_object,
)
from rootrun.namedtuple import NamedTuple

_WHAT = "shell image"
_SUFFIXES = (".drv", ".json")
_HASH_LENGTH = 32
_STRUCTURED = "structuredAttrs"  # of newer versions of Nix; before, ``__json`` in the environment


class NamedDerivation(NamedTuple):
    """A derivation and its name, without the hash that its path has."""

    name: str
    derivation: Derivation


def read_derivation(path: Path) -> NamedDerivation:
    """Return the derivation in the file ``path``; raises UsageError for anything else."""
    with told_as(UsageError, _WHAT, path):
        content = path.read_bytes()
    where = repr(os.fspath(path))
    try:
        if content.lstrip()[:1] == b"{":
            return _from_json(parse_object(content, where=where), _name_of(path), where=where)
        derivation = parse_derivation(content)
    except ImageError as error:
        raise UsageError(f"{_WHAT}: {str(error).partition(': ')[2]}") from error
    except ValueError as error:
        raise UsageError(
            f"{_WHAT}: {where}: {error}", hint="a .drv, or what nix derivation show writes"
        ) from error
    return NamedDerivation(dict(derivation.environment).get("name") or _name_of(path), derivation)


def _name_of(path: Path) -> str:
    """Return the name that a path in a store tells."""
    name = path.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    start, dash, rest = name.partition("-")
    return rest if dash and rest and len(start) == _HASH_LENGTH else name


def _from_json(document: JsonObject, name: str, *, where: str) -> NamedDerivation:
    if "derivations" in document:  # Nix 2.32 and later
        document = get_object(document, "derivations", where=where)
    if "builder" not in document:
        if len(document) != 1:
            raise UsageError(f"{_WHAT}: {where}: {len(document)} derivations, one is needed")
        ((path, value),) = document.items()
        document, name, where = as_object(value, where=path), _name_of(Path(path)), path
    environment = {
        key: _text_of(value, where=f"{where}: env: {key}")
        for key, value in get_object(document, "env", where=where).items()
    }
    if document.get(_STRUCTURED) is not None:
        environment["__json"] = ""
    derivation = Derivation(
        outputs=_outputs_of(document, where=where),
        builder=get_text(document, "builder", where=where),
        args=get_texts(document, "args", where=where),
        environment=tuple(sorted(environment.items())),
    )
    own = get_text(document, "name", where=where) or environment.get("name")
    return NamedDerivation(own or name, derivation)


def _outputs_of(document: Mapping[str, object], *, where: str) -> tuple[tuple[str, str], ...]:
    outputs = get_object(document, "outputs", where=where)
    return tuple(
        (name, get_text(as_object(value, where=f"{where}: {name}"), "path", where=where))
        for name, value in sorted(outputs.items())
    )


def _text_of(value: object, *, where: str) -> str:
    """Return a variable as Nix makes one of an attribute: true is ``1``, lists have blanks."""
    if value is None or value is False:
        return ""
    if value is True:
        return "1"
    if isinstance(value, list):
        # Nix leaves an empty list out with the blank behind it; one at the end leaves the blank.
        shown = [one for one in value[:-1] if one != []] + value[-1:]
        return " ".join(_text_of(one, where=where) for one in shown)
    if isinstance(value, str | int):
        return str(value)
    raise UsageError(f"{_WHAT}: {where}: neither a text nor a number, nor a list of them")
