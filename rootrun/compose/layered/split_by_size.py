"""Layers by size: each large path gets one, together with what only it needs.

Most closures have few large paths and many small ones, so that images share the most bytes
where the large ones stand apart. What several of the large ones need has a layer for each such
set of them (nixpkgs, auto-layer).
"""

from rootrun.compose.layered.graph import Graph, StorePath, name_key

_Owners = frozenset[StorePath]  # the large paths that need a path, and by that name a layer


def split_by_size(graph: Graph, *, max_layers: int) -> list[Graph]:
    """Return at most ``max_layers`` parts of ``graph``, each after all those that it needs."""
    if max_layers < 1:
        raise ValueError(f"{max_layers}: not a number of layers")
    split = _Split(graph)
    for path in reversed(list(graph)):  # the largest first
        if not split.give_layer(path, max_layers=max_layers):
            break
    layers: dict[_Owners, list[StorePath]] = {}
    for path in sorted(graph, key=name_key):
        layers.setdefault(split.owners[path], []).append(path)
    parts = [graph.only(paths) for paths in layers.values()]
    return sorted(parts, key=lambda part: _closure_bytes(graph, part))  # stable: ties by name


def _closure_bytes(graph: Graph, part: Graph) -> int:
    return sum(graph.nodes[path].size_bytes for path in graph.closure(*part))


class _Split:
    """Which layer each path is in, while layers are given to large ones."""

    def __init__(self, graph: Graph) -> None:
        nobody: _Owners = frozenset()
        self.owners = dict.fromkeys(graph, nobody)
        self._graph = graph
        self._sizes = {nobody: len(graph)}  # in paths, of the layers that there are

    def give_layer(self, path: StorePath, *, max_layers: int) -> bool:
        """Give a layer to ``path``; change nothing, and return False, if that makes too many."""
        before = {path: self.owners[path]}
        self._move(path, frozenset({path}))
        needed = self._graph.closure(path) - {path}
        users = self._graph.all_users(path) - {path}
        for other in needed:
            before[other] = self.owners[other]
            # Who needs the new one needs this only through it, as far as layers are concerned.
            rest = self.owners[other] - users
            self._move(other, rest if rest & needed else rest | {path})
        if len(self._sizes) <= max_layers:
            return True
        for moved, owners in before.items():
            self._move(moved, owners)
        return False

    def _move(self, path: StorePath, owners: _Owners) -> None:
        old = self.owners[path]
        self._sizes[old] -= 1
        if not self._sizes[old]:
            del self._sizes[old]
        self._sizes[owners] = self._sizes.get(owners, 0) + 1
        self.owners[path] = owners
