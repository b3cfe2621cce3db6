"""JSON from outside, checked once where it enters."""

import json
from collections.abc import Mapping
from math import isinf

from rootrun.annotation import NoReturn, cast
from rootrun.errors import ImageError

JsonObject = dict[str, object]

# Go reads 10000 levels, no image has ten. What is read here must be written again, by recursion.
_MAX_DEPTH = 100
_MAX_SIZE = (1 << 63) - 1  # descriptor.md: an int64


class _Ambiguous(ValueError):
    """JSON that readers take for different values."""


def parse_json(content: bytes, *, where: str) -> object:
    """Return the value that ``content`` holds; raise ImageError naming ``where``.

    Refuses what RFC 8259 leaves open, so that no two readers see different
    images: a key twice in one object, numbers beyond a double, lone surrogates.
    """
    try:
        value = cast(
            "object",
            json.loads(
                content.decode("utf-8"),
                object_pairs_hook=_unique,
                parse_float=_finite,
                parse_constant=_refuse,
            ),
        )
        is_deep = _is_deep(value)
    except RecursionError:
        is_deep = True
    except ValueError as error:
        raise ImageError(f"read image: {where}: not JSON: {_position(error)}") from error
    if is_deep:
        raise ImageError(f"read image: {where}: nested too deeply")
    return value


def parse_object(content: bytes, *, where: str) -> JsonObject:
    """Return the object that ``content`` holds."""
    return as_object(parse_json(content, where=where), where=where)


def as_object(value: object, *, where: str) -> JsonObject:
    """Return ``value`` if it is an object."""
    if isinstance(value, dict):
        return cast("JsonObject", value)
    raise _wrong(value, "an object", where)


def refuse_twins(document: Mapping[str, object], *, where: str) -> None:
    """Raise ImageError for keys that differ in case only: to Go, and so docker, they are one."""
    if len({key.casefold() for key in document}) != len(document):
        raise ImageError(f"read image: {where}: keys that differ in case only")


def as_list(value: object, *, where: str) -> list[object]:
    """Return ``value`` if it is an array."""
    if isinstance(value, list):
        return cast("list[object]", value)
    raise _wrong(value, "an array", where)


def get_object(parent: Mapping[str, object], key: str, *, where: str) -> JsonObject:
    """Return the object ``key`` of ``parent``; none, and null, is an empty one."""
    value = parent.get(key)
    return {} if value is None else as_object(value, where=f"{where}: {key}")


def get_list(parent: Mapping[str, object], key: str, *, where: str) -> list[object]:
    """Return the array ``key`` of ``parent``; none, and null, is an empty one."""
    value = parent.get(key)
    return [] if value is None else as_list(value, where=f"{where}: {key}")


def get_texts(parent: Mapping[str, object], key: str, *, where: str) -> tuple[str, ...]:
    """Return the array of strings ``key`` of ``parent``; none, and null, is an empty one."""
    values = get_list(parent, key, where=where)
    for value in values:
        if not isinstance(value, str):
            raise _wrong(value, "a string", f"{where}: {key}")
    return tuple(cast("list[str]", values))


def get_text(parent: Mapping[str, object], key: str, *, where: str) -> str:
    """Return the string ``key`` of ``parent``; none, and null, is an empty one."""
    value = parent.get(key)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise _wrong(value, "a string", f"{where}: {key}")


def get_flag(parent: Mapping[str, object], key: str, *, where: str) -> bool:
    """Return the boolean ``key`` of ``parent``; none, and null, is false."""
    value = parent.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise _wrong(value, "a boolean", f"{where}: {key}")


def get_size(parent: Mapping[str, object], key: str, *, where: str) -> int:
    """Return the number ``key`` of ``parent``, which must be there, and from 0 to 2^63-1."""
    value = parent.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_SIZE:
        return value
    raise _wrong(value, "a size", f"{where}: {key}")


def to_bytes(value: object) -> bytes:
    """Return ``value`` as compact JSON, in the order of its keys."""
    return json.dumps(value, separators=(",", ":")).encode()


_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}


def _wrong(value: object, wanted: str, where: str) -> ImageError:
    """Return the error; the value stays out of it: it may be a file of the host."""
    found = "nothing" if value is None else _NAMES.get(type(value), "a number")
    return ImageError(f"read image: {where}: want {wanted}, got {found}")


def _position(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at byte {error.pos}"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    if isinstance(error, UnicodeEncodeError):
        return "a lone surrogate"
    return str(error) if isinstance(error, _Ambiguous) else "a number that is none"


def _unique(pairs: list[tuple[str, object]]) -> JsonObject:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _Ambiguous("a key twice in one object")
    return document


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise _Ambiguous("a number that is too large")
    return number


def _refuse(_: str) -> NoReturn:
    raise ValueError


def _is_deep(value: object) -> bool:
    """Say whether ``value`` has too many levels; raise UnicodeEncodeError for no text.

    A byte that is no UTF-8, as Python decodes it, passes: rootrun writes
    labels that the command line gave it so.
    """
    level = [value]
    for _ in range(_MAX_DEPTH):
        below: list[object] = []
        for one in level:
            if isinstance(one, dict):
                below += one
                below += one.values()
            elif isinstance(one, list):
                below += one
            elif isinstance(one, str) and not one.isascii():
                one.encode("utf-8", "surrogateescape")
        if not below:
            return False
        level = below
    return True
