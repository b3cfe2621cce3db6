"""A graph of references between the paths of a store, as a value.

Paths are absolute, ``/nix/store/HASH-NAME``; an edge leads from a path to one that it refers to.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from rootrun.annotation import NewType
from rootrun.namedtuple import NamedTuple

StorePath = NewType("StorePath", str)
"""An absolute path one level below the directory of a store."""


class Node(NamedTuple):
    """A path of the store. ``size_bytes`` is that of its archive (NAR)."""

    references: tuple[StorePath, ...]  # without itself
    size_bytes: int


class Graph:
    """Paths and their references to each other; what they refer to elsewhere does not count.

    Iteration goes from small to large, those of the same size by name.
    """

    def __init__(self, nodes: Mapping[StorePath, Node]) -> None:
        self.nodes = {
            path: Node(_known(path, nodes), nodes[path].size_bytes)
            for path in sorted(nodes, key=lambda path: (nodes[path].size_bytes, path))
        }
        self._users: dict[StorePath, list[StorePath]] = {path: [] for path in self.nodes}
        for path, node in self.nodes.items():
            for reference in node.references:
                self._users[reference].append(path)

    def __iter__(self) -> Iterator[StorePath]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __contains__(self, path: object) -> bool:
        return path in self.nodes

    def references(self, path: StorePath) -> Iterable[StorePath]:
        """Return what ``path`` refers to."""
        return self.nodes[path].references

    def users(self, path: StorePath) -> Iterable[StorePath]:
        """Return what refers to ``path``."""
        return self._users[path]

    def roots(self) -> list[StorePath]:
        """Return the paths that nothing refers to."""
        return [path for path in self.nodes if not self._users[path]]

    def closure(self, *paths: StorePath) -> set[StorePath]:
        """Return ``paths`` and all that they need."""
        return _reached(paths, self.references)

    def all_users(self, *paths: StorePath) -> set[StorePath]:
        """Return ``paths`` and all that needs them."""
        return _reached(paths, self.users)

    def only(self, paths: Iterable[StorePath]) -> "Graph":
        """Return the part of the graph that ``paths`` are."""
        return Graph({path: self.nodes[path] for path in paths})

    def without(self, paths: Iterable[StorePath]) -> "Graph":
        """Return the graph without ``paths``, which need not be in it."""
        removed = set(paths)
        return self.only(path for path in self if path not in removed)

    def users_first(self) -> list[StorePath]:
        """Return all paths, each after what refers to it; ValueError if they refer in a circle."""
        waiting = {path: len(self._users[path]) for path in self.nodes}
        ordered = self.roots()
        for path in ordered:  # which grows meanwhile
            for reference in self.references(path):
                waiting[reference] -= 1
                if not waiting[reference]:
                    ordered.append(reference)
        if len(ordered) < len(self.nodes):
            left = min(path for path in self.nodes if waiting[path])
            raise ValueError(f"{left}: refers to itself through others")
        return ordered


def name_key(path: StorePath) -> tuple[str, str]:
    """Return by what paths are put in order for the eye: the name, then the hash."""
    hash_part, _, name = path.rpartition("/")[2].partition("-")
    return name, hash_part


def _known(path: StorePath, nodes: Mapping[StorePath, Node]) -> tuple[StorePath, ...]:
    references = dict.fromkeys(nodes[path].references)
    return tuple(other for other in references if other in nodes and other != path)


def _reached(
    paths: Iterable[StorePath], onward: Callable[[StorePath], Iterable[StorePath]]
) -> set[StorePath]:
    found = set(paths)
    waiting = list(found)
    while waiting:
        for path in onward(waiting.pop()):
            if path not in found:
                found.add(path)
                waiting.append(path)
    return found
