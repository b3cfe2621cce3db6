"""JSON from outside, checked once where it enters."""

import json
from collections.abc import Mapping
from typing import NoReturn, cast

from rootrun.errors import ImageError

JsonObject = dict[str, object]


def parse_json(content: bytes, *, where: str) -> object:
    """Return the value that ``content`` holds; raise ImageError naming ``where``."""
    try:
        return cast("object", json.loads(content.decode("utf-8"), parse_constant=_refuse))
    except RecursionError as error:
        raise ImageError(f"read image: {where}: nested too deeply") from error
    except ValueError as error:
        raise ImageError(f"read image: {where}: not JSON: {_position(error)}") from error


def parse_object(content: bytes, *, where: str) -> JsonObject:
    """Return the object that ``content`` holds."""
    return as_object(parse_json(content, where=where), where=where)


def as_object(value: object, *, where: str) -> JsonObject:
    """Return ``value`` if it is an object."""
    if isinstance(value, dict):
        return cast("JsonObject", value)
    raise _wrong(value, "an object", where)


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


def get_size(parent: Mapping[str, object], key: str, *, where: str) -> int:
    """Return the number ``key`` of ``parent``, which must be there and not negative."""
    value = parent.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
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
    return "a number that is none"


def _refuse(_: str) -> NoReturn:
    raise ValueError
