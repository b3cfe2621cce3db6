"""The registration of store paths, as ``nix-store --dump-db`` and closureInfo write it."""

import re
from collections.abc import Callable, Mapping

from rootrun.annotation import TypeVar
from rootrun.compose.nix_database.store_path import StorePath, parse_sha256, parse_store_path
from rootrun.namedtuple import NamedTuple

_Value = TypeVar("_Value")
_NUMBER = re.compile(r"[0-9]{1,18}")


class ValidPath(NamedTuple):
    """What is known of a store path: a row of the table ValidPaths, with its references."""

    path: StorePath
    nar_sha256: str  # hexadecimal
    nar_bytes: int
    deriver: str | None = None
    references: frozenset[StorePath] = frozenset()  # it may refer to itself


def parse_registration(content: bytes) -> Mapping[StorePath, ValidPath]:
    """Return the paths that ``content`` registers.

    It has lines: of each path the path, the SHA-256 and the size of its NAR in bytes, the deriver
    or nothing, the number of references, and these. Raises ValueError, with the number of the line,
    for all else, and for a path that is there twice with different values.
    """
    lines = _Lines(content)
    if not lines.are_left:
        raise ValueError("registers no path")
    found: dict[StorePath, ValidPath] = {}
    while lines.are_left:
        path = ValidPath(
            path=lines.take("a store path", parse_store_path),
            nar_sha256=lines.take("the hash", parse_sha256),
            nar_bytes=lines.take("the size", _parse_number),
            deriver=lines.take("the deriver", _parse_deriver),
            references=frozenset(
                [
                    lines.take("a reference", parse_store_path)
                    for _ in range(lines.take("the number of references", _parse_number))
                ]
            ),
        )
        if found.setdefault(path.path, path) != path:
            raise ValueError(f"{path.path}: registered twice, with different values")
    return found


class _Lines:
    """Lines, taken one by one."""

    def __init__(self, content: bytes) -> None:
        # Else as undecodable as a name of a file can be: no line that counts may hold such.
        text = content.decode("utf-8", "surrogateescape")
        self._lines = text.removesuffix("\n").split("\n") if text else []
        self._taken = 0

    @property
    def are_left(self) -> bool:
        """Whether another path follows."""
        return self._taken < len(self._lines)

    def take(self, what: str, parse: Callable[[str], _Value]) -> _Value:
        """Return the next line as ``parse`` reads it; raises ValueError with its number."""
        if not self.are_left:
            raise ValueError(f"line {self._taken + 1}: {what} is missing")
        line = self._lines[self._taken]
        self._taken += 1
        try:
            return parse(line)
        except ValueError as error:
            raise ValueError(f"line {self._taken}: {what}: {error}") from None


def _parse_number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is no number")
    return int(text)


def _parse_deriver(text: str) -> str | None:
    return parse_store_path(text) if text else None
