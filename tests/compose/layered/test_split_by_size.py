"""Layers by size: what stands together, in which order, and never more than there may be."""

import pytest

from rootrun.compose.layered.split_by_size import split_by_size
from tests.compose.layered.graphs import graph_of, names, random_graph

# Two programs, each with a library of its own, and a library that both need.
_TWO = graph_of(P="x s:90", Q="y s:80", x=":2", y=":3", s=":5")


@pytest.mark.parametrize(
    ("limit", "layers"),
    [
        (1, ["PQsxy"]),
        (2, ["Psx", "Qy"]),
        (3, ["s", "Qy", "Px"]),
        (4, ["s", "y", "Q", "Px"]),
        (5, ["x", "y", "s", "Q", "P"]),
    ],
)
def test_large_paths_stand_with_what_only_they_need(limit: int, layers: list[str]) -> None:
    assert sorted(names(one) for one in split_by_size(_TWO, max_layers=limit)) == sorted(layers)


def test_layers_come_after_what_they_need() -> None:
    assert [names(one) for one in split_by_size(_TWO, max_layers=3)] == ["s", "Qy", "Px"]


def test_last_of_equals_is_the_largest() -> None:
    layers = split_by_size(graph_of(A=":5", B=":5", C=":5"), max_layers=2)

    assert sorted(names(one) for one in layers) == ["AB", "C"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20, 99, 200, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_each_path_is_in_one_layer_and_these_are_few_enough(seed: int, limit: int) -> None:
    """AC18: never more layers than there may be; none is lost or there twice."""
    graph = random_graph(seed, 120)

    layers = split_by_size(graph, max_layers=limit)

    assert len(layers) <= limit
    assert sorted(path for layer in layers for path in layer) == sorted(graph)
    assert all(len(layer) for layer in layers)


def test_layers_of_parts_have_the_sum_of_the_sizes() -> None:
    graph = random_graph(5, 150)

    layers = split_by_size(graph, max_layers=30)

    split = sum(node.size_bytes for layer in layers for node in layer.nodes.values())
    assert split == sum(node.size_bytes for node in graph.nodes.values())


def test_nothing_comes_of_nothing() -> None:
    assert split_by_size(graph_of(), max_layers=5) == []


def test_no_layer_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="0: not a number of layers"):
        split_by_size(_TWO, max_layers=0)
