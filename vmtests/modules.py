"""Kernel modules in the order in which they can be loaded, without kmod and its modules.dep.

Each module names what it needs in its section .modinfo, as NUL-separated ``key=value``.
"""

import lzma
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_SUFFIX = re.compile(r"\.ko(\.xz)?$")
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_SOFT = re.compile(rb"\0softdep=pre: ?([^\0]*)\0")


class Module(NamedTuple):
    """A module by the name that the kernel has for it, uncompressed."""

    name: str
    content: bytes


def module_paths(tree: Path) -> dict[str, Path]:
    """Return the modules of an unpacked kernel package by name."""
    return {_name(path.name): path for path in tree.rglob("*.ko*") if _SUFFIX.search(path.name)}


def in_load_order(wanted: Iterable[str], paths: Mapping[str, Path]) -> list[Module]:
    """Return ``wanted`` and all that they need, what is needed first.

    A name that is not in ``paths`` is left out: it is built into the kernel.
    """
    found: dict[str, Module | None] = {}

    def add(name: str) -> None:
        if name in found or name not in paths:
            return
        found[name] = None  # a module that needs itself would not end
        content = _read(paths[name])
        for other in needs(content):
            add(other)
        del found[name]
        found[name] = Module(name, content)

    for name in wanted:
        add(_name(name))
    return [module for module in found.values() if module is not None]


def needs(content: bytes) -> list[str]:
    """Return what a module wants to be loaded before itself."""
    soft = [name for match in _SOFT.finditer(content) for name in match[1].split()]
    depends = _DEPENDS.search(content)
    names = [*soft, *(depends[1].split(b",") if depends else [])]
    return [_name(name.decode()) for name in names if name and name != b"post:"]


def _name(name: str) -> str:
    # The kernel takes "-" for "_" in the names of modules.
    return _SUFFIX.sub("", name).replace("-", "_")


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content
