"""What the header of a test script says of its machines, read without running it.

Inline script metadata (PEP 723): a block of comments with TOML, in which the table
``[tool.rootrun]`` is ours.
"""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path

from rootrun.cli.grammar import Option
from rootrun.cli.test_options import MACHINE, TEST
from rootrun.cli.values import checked
from rootrun.dataclass import replace
from rootrun.errors import UsageError
from rootrun.namedtuple import NamedTuple
from rootrun.request import Bind
from rootrun.testing.options import absolute_image

Values = dict[str, object]  # of options, by their keys

_START = "# /// script"
_END = "# ///"


class Declared(NamedTuple):
    """A machine of the header."""

    values: Values
    networks: tuple[str, ...] | None = None


class Header(NamedTuple):
    """All of it. What is not said is not there."""

    values: Values  # for all machines, and for the test
    machines: dict[str, Declared]
    networks: dict[str, str | None] | None  # subnets; None: the usual one


def read_header(path: Path, text: str) -> Header:
    """Return what the script ``text`` declares; raises UsageError, with ``path``.

    Relative paths in it count from the directory of the script.
    """
    where = os.fspath(path)
    table = _table(text, where)
    with chdir(path.parent):
        return _header(table, f"{where}: header")


def _header(table: Values, where: str) -> Header:
    machines = _take(table, "machines", {}, where)
    networks = _take(table, "networks", None, where)
    return Header(
        _values(table, [*MACHINE.options, *TEST.options], where),
        {name: _declared(name, value, where) for name, value in (machines or {}).items()},
        None
        if networks is None
        else {name: _subnet(name, value, where) for name, value in networks.items()},
    )


def _table(text: str, where: str) -> Values:
    """Return ``[tool.rootrun]``, empty if there is no header."""
    toml = _block(text, where)
    if toml is None:
        return {}
    import tomllib

    try:
        read = tomllib.loads(toml)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: header: {error}") from None
    tool = _take(read, "tool", {}, f"{where}: header") or {}
    return dict(_take(tool, "rootrun", {}, f"{where}: header") or {})


def _block(text: str, where: str) -> str | None:
    """Return the TOML, its lines numbered as in the script; None if there is none."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.rstrip() == _START]
    if not starts:
        return None
    if len(starts) > 1:
        raise UsageError(f"{where}: line {starts[1] + 1}: a second header")
    start = starts[0]
    comments = 0
    for line in lines[start + 1 :]:
        if not re.match(r"#( |$)", line):
            break
        comments += 1
    block = lines[start + 1 : start + 1 + comments]
    ends = [number for number, line in enumerate(block) if line.rstrip() == _END]
    if not ends:
        raise UsageError(f"{where}: line {start + 1}: a header without its end, {_END!r}")
    return "\n" * (start + 1) + "\n".join(line[2:] for line in block[: ends[-1]])


def _take(
    table: Mapping[str, object], key: str, missing: Values | None, what: str
) -> Values | None:
    """Return a table of ``table``."""
    value = table.get(key, missing)
    if value is not None and not isinstance(value, dict):
        raise UsageError(f"{what}: {key}: not a table")
    return value


def _declared(name: str, value: object, where: str) -> Declared:
    """Return a machine: a table, or only the name of its image."""
    what = f"{where}: machines.{name}"
    if isinstance(value, str):
        value = {"from": value}
    if not isinstance(value, dict):
        raise UsageError(f"{what}: neither a table nor the name of an image")
    networks = value.pop("networks", None)
    if networks is not None and not _is_list_of_texts(networks):
        raise UsageError(f"{what}: networks: not a list of names")
    return Declared(
        _values(value, MACHINE.options, what), None if networks is None else tuple(networks)
    )


def _subnet(name: str, value: object, where: str) -> str | None:
    """Return a network's addresses, None for any: a text, or a table with ``subnet`` or nothing."""
    what = f"{where}: networks.{name}"
    if isinstance(value, dict):
        unknown = [key for key in value if key != "subnet"]
        if unknown:
            raise UsageError(f"{what}: {unknown[0]}: no such key", hint="known is subnet")
        value = value.get("subnet", "")
    if not isinstance(value, str):
        raise UsageError(f"{what}: neither a table nor a subnet such as 10.0.0.0/24")
    return value or None


def _values(
    table: Mapping[str, object], options: list[Option] | tuple[Option, ...], what: str
) -> Values:
    """Return the values of ``options`` that ``table`` has; each is read as on a command line."""
    known = {option.name.removeprefix("--"): option for option in options}
    found: Values = {}
    for key, value in table.items():
        if key in ("machines", "networks"):
            continue
        if key not in known:
            raise UsageError(f"{what}: {key}: no such key", hint=f"known are {', '.join(known)}")
        option = known[key]
        texts = _texts(value, is_list=option.action == "append")
        if texts is None:
            raise UsageError(f"{what}: {key}: {value!r}: of another kind")
        parse = checked(f"{what}: {key}", _from_here(option))
        read = [parse(text) for text in texts]
        found[option.key] = read if option.action == "append" else read[0]
    return found


def _from_here(option: Option) -> Callable[[str], object]:
    """Return how ``option`` is read for who will be in another directory."""
    if option.key == "from_image":
        return absolute_image

    def parse(text: str) -> object:
        value = option.parse(text)
        if isinstance(value, Bind):
            return replace(value, source=Path(os.path.abspath(value.source)))
        return value

    return parse


def _texts(value: object, *, is_list: bool) -> list[str] | None:
    """Return what stands for ``value`` on a command line, None if nothing does."""
    if isinstance(value, dict) and is_list:  # of variables
        return [f"{name}={content}" for name, content in value.items()]
    if _is_list_of_texts(value) and is_list:
        assert isinstance(value, list)
        return value
    is_one = isinstance(value, str | int | float) and not isinstance(value, bool)
    return [str(value)] if is_one else None


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
