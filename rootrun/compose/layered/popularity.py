"""The popularity contest: what much else builds on comes first."""

from collections.abc import Mapping

from rootrun.compose.layered.graph import Graph, StorePath, name_key


def popularity_contest(graph: Graph) -> list[Graph]:
    """Return a graph of each path, the most popular first; those alike by name, then by hash.

    The popularity of a path is that of the tree which the graph unfolds to: the number of times
    that the path, and each one that needs it, stands there (dockerTools' closure-graph.py, summed
    up otherwise).
    """
    scores = popularity(graph)
    ranked = sorted(graph, key=lambda path: (-scores[path], name_key(path)))
    return [graph.only([path]) for path in ranked]


def popularity(graph: Graph) -> Mapping[StorePath, int]:
    """Return the score of each path; ValueError for paths that refer to each other in a circle."""
    occurrences: dict[StorePath, int] = {}
    for path in graph.users_first():
        occurrences[path] = sum(occurrences[user] for user in graph.users(path)) or 1
    return {path: sum(occurrences[user] for user in graph.all_users(path)) for path in graph}
