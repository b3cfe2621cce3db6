"""Derivations as Nix keeps them in the store, in ATerm form (Nix manual, Store Derivation)."""

import re
from collections.abc import Callable, Iterator

from rootrun.annotation import TypeVar
from rootrun.namedtuple import NamedTuple

_Item = TypeVar("_Item")
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_MEANING = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}  # any other stands for itself


class Derivation(NamedTuple):
    """What is built, and how. Bytes that are no UTF-8 are surrogates."""

    outputs: tuple[tuple[str, str], ...]  # name and path; a path that is not known yet is empty
    builder: str
    args: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]


def parse_derivation(content: bytes) -> Derivation:
    """Return the derivation that a ``.drv`` holds; raises ValueError for what is none."""
    reader = _Reader(content)
    reader.skip(b"Derive(")
    outputs = reader.items(lambda: reader.strings(4))
    reader.skip(b",")
    reader.items(reader.input_derivation)
    reader.skip(b",")
    reader.items(reader.string)
    reader.skip(b",")
    reader.string()  # the system
    reader.skip(b",")
    builder = reader.string()
    reader.skip(b",")
    args = reader.items(reader.string)
    reader.skip(b",")
    environment = reader.items(lambda: reader.strings(2))
    reader.skip(b")")
    reader.skip_to_end()
    return Derivation(
        outputs=tuple((name, path) for name, path, _, _ in outputs),
        builder=builder,
        args=tuple(args),
        environment=tuple((name, value) for name, value in environment),
    )


class _Reader:
    """What is left of an ATerm."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    def skip(self, token: bytes) -> None:
        if not self._content.startswith(token, self._position):
            raise ValueError(f"no derivation: no {token.decode()!r} at byte {self._position}")
        self._position += len(token)

    def skip_to_end(self) -> None:
        if self._content[self._position :].strip():
            raise ValueError(f"no derivation: more follows at byte {self._position}")

    def string(self) -> str:
        match = _STRING.match(self._content, self._position)
        if match is None:
            raise ValueError(f"no derivation: no string at byte {self._position}")
        self._position = match.end()
        content = _ESCAPE.sub(lambda found: _MEANING.get(found[1], found[1]), match[1])
        return content.decode("utf-8", "surrogateescape")

    def strings(self, count: int) -> tuple[str, ...]:
        """Read a tuple of strings."""
        found = []
        for number in range(count):
            self.skip(b"," if number else b"(")
            found.append(self.string())
        self.skip(b")")
        return tuple(found)

    def items(self, read: Callable[[], _Item]) -> list[_Item]:
        """Read a list."""
        return list(self._items(read))

    def _items(self, read: Callable[[], _Item]) -> Iterator[_Item]:
        self.skip(b"[")
        is_first = True
        while not self._content.startswith(b"]", self._position):
            if not is_first:
                self.skip(b",")
            is_first = False
            yield read()
        self.skip(b"]")

    def input_derivation(self) -> None:
        """Pass over a derivation that this one needs, with the names of its outputs."""
        self.skip(b"(")
        self.string()
        self.skip(b",")
        self.items(self.string)
        self.skip(b")")
