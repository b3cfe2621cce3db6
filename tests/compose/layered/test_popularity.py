"""The popularity contest: nixpkgs' own example, and what holds for any graph."""

import pytest

from rootrun.compose.layered.graph import Graph, StorePath
from rootrun.compose.layered.popularity import popularity, popularity_contest
from tests.compose.layered.graphs import graph_of, names, path_of, random_graph

_EXAMPLE = graph_of(A="B G", B="C E", C="D E", D="F", E="F", F="", G="")


def test_scores_are_those_of_the_example() -> None:
    scores = {names(_EXAMPLE.only([path])): score for path, score in popularity(_EXAMPLE).items()}

    assert scores == {"F": 9, "E": 5, "D": 4, "C": 3, "B": 2, "G": 2, "A": 1}


def test_order_is_that_of_the_example() -> None:
    assert [names(one) for one in popularity_contest(_EXAMPLE)] == list("FEDCBGA")


def _by_unfolding(graph: Graph) -> dict[StorePath, int]:
    """Count as the definition says it: unfold the graph to a tree, and add up from below."""

    def contest(paths: list[StorePath]) -> dict[StorePath, int]:
        found: dict[StorePath, int] = {}
        for path in paths:
            found[path] = found.get(path, 0) + 1
            for below, score in contest(list(graph.references(path))).items():
                found[below] = found.get(below, 0) + score + 1
        return found

    return contest(graph.roots())


@pytest.mark.parametrize("seed", range(8))
def test_scores_are_those_of_the_unfolded_tree(seed: int) -> None:
    graph = random_graph(seed, 14)

    assert popularity(graph) == _by_unfolding(graph)


def test_each_path_is_there_once() -> None:
    graph = random_graph(3, 200)

    ranked = [path for one in popularity_contest(graph) for path in one]

    assert sorted(ranked) == sorted(graph)


def test_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="0000-A: refers to itself through others"):
        popularity(graph_of(A="B", B="A", C="A"))


def test_reference_to_itself_does_not_count() -> None:
    assert popularity(graph_of(A="A B", B="B")) == {path_of("A"): 1, path_of("B"): 2}


def test_nothing_comes_of_nothing() -> None:
    assert popularity_contest(graph_of()) == []
