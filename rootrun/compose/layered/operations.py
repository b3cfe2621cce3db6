"""The operations of a layering pipeline: from a graph, or parts of one, to parts.

They are those of nixpkgs' ``layeringPipeline``. A value is a graph, a list of values, or the
parts ``main``, ``common`` and ``rest`` of what was split; what is empty is left out.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from rootrun.compose.layered.graph import Graph, StorePath

PARTS = ("main", "common", "rest")

Value = Graph | list["Value"] | dict[str, "Value"]


def flatten(value: Value) -> list[Graph]:
    """Return the graphs that ``value`` holds at any depth, in their order."""
    return list(_graphs(value))


def _graphs(value: Value) -> Iterator[Graph]:
    if isinstance(value, Graph):
        if len(value):
            yield value
        return
    for one in value.values() if isinstance(value, dict) else value:
        yield from _graphs(one)


def merge(graphs: Iterable[Graph]) -> Graph:
    """Return the paths of all ``graphs`` together."""
    return Graph({path: node for graph in graphs for path, node in graph.nodes.items()})


def split_every(graph: Graph, *, count: int) -> list[Value]:
    """Return parts of ``count`` paths, the last of what is left."""
    paths = iter(graph)
    parts: list[Value] = []
    while part := list(islice(paths, count)):
        parts.append(graph.only(part))
    return parts


def limit_layers(values: Sequence[Value], *, count: int) -> list[Value]:
    """Return ``values`` with all from the ``count``-th on merged into one."""
    if len(values) <= count:
        return list(values)
    return [*values[: count - 1], merge(flatten(list(values[count - 1 :])))]


def subcomponent_out(graph: Graph, *, paths: Iterable[StorePath]) -> dict[str, Value]:
    """Return as ``main`` those of ``paths`` that are there, and all that they need."""
    return _main_and_rest(graph, graph.closure(*_present(graph, paths)))


def subcomponent_in(graph: Graph, *, paths: Iterable[StorePath]) -> dict[str, Value]:
    """Return as ``main`` those of ``paths`` that are there, and all that needs them."""
    return _main_and_rest(graph, graph.all_users(*_present(graph, paths)))


def children_of(graph: Graph, path: StorePath) -> list[StorePath]:
    """Return what ``path`` refers to, nothing if it is not there."""
    return list(graph.references(path)) if path in graph else []


def split_paths(graph: Graph, *, paths: Iterable[StorePath]) -> dict[str, Value]:
    """Return ``paths`` and what only they need, what others need as well, and the rest.

    Those of ``paths`` that need each other are together in ``main``.
    """
    chosen = set(_present(graph, paths))
    roots = graph.roots()
    if chosen.issuperset(roots) and len(roots) == 1:
        return {"main": graph}  # all there is hangs on it
    split_off = graph.closure(*chosen)
    others = _reached_without(graph, chosen)
    sets = (split_off - others, split_off & others, others - split_off)
    return _named(graph, dict(zip(PARTS, sets, strict=True)))


def _reached_without(graph: Graph, chosen: set[StorePath]) -> set[StorePath]:
    """Return what can be reached from the roots on ways that go through none of ``chosen``."""
    apart = graph.without(chosen)
    return apart.closure(*(root for root in graph.roots() if root not in chosen))


def _present(graph: Graph, paths: Iterable[StorePath]) -> list[StorePath]:
    return [path for path in paths if path in graph]


def _main_and_rest(graph: Graph, main: set[StorePath]) -> dict[str, Value]:
    return _named(graph, {"main": main, "rest": set(graph) - main})


def _named(graph: Graph, sets: dict[str, set[StorePath]]) -> dict[str, Value]:
    return {name: graph.only(paths) for name, paths in sets.items() if paths}
