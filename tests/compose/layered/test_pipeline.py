"""The operations of layering pipelines, on graphs that fit on a line."""

import pytest

from rootrun.compose.layered.graph import Graph
from rootrun.compose.layered.operations import Value
from rootrun.compose.layered.pipeline import parse_pipeline, run_pipeline
from rootrun.errors import UsageError
from tests.compose.layered.graphs import graph_of, names, path_of, random_graph

A, B, C, D, E, F = map(path_of, "ABCDEF")
_GRAPH = graph_of(A="B C", B="D E", C="E F", D="", E="", F="")


def _shown(value: Value) -> object:
    if isinstance(value, Graph):
        return names(value)
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items()}
    return [_shown(one) for one in value]


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([], "ABCDEF"),
        ([["remove_paths", [A, "/nix/store/other"]]], "BCDEF"),
        ([["remove_paths", A]], "BCDEF"),
        ([["split_every", 4]], ["ABCD", "EF"]),
        ([["split_every", 4], ["reverse"]], ["EF", "ABCD"]),
        ([["popularity_contest"], ["limit_layers", 3]], ["E", "D", "ABCF"]),
        ([["popularity_contest"], ["limit_layers", 6]], ["E", "D", "F", "B", "C", "A"]),
        ([["popularity_contest"], ["limit_layers", 1]], ["ABCDEF"]),
        ([["subcomponent_out", [B]]], {"main": "BDE", "rest": "ACF"}),
        ([["subcomponent_in", [B]]], {"main": "AB", "rest": "CDEF"}),
        ([["subcomponent_in", [D, F]]], {"main": "ABCDF", "rest": "E"}),
        ([["subcomponent_out", ["/nix/store/other"]]], {"rest": "ABCDEF"}),
        ([["split_paths", [B]]], {"main": "BD", "common": "E", "rest": "ACF"}),
        ([["split_paths", B]], {"main": "BD", "common": "E", "rest": "ACF"}),
        ([["split_paths", [B, C]]], {"main": "BCDEF", "rest": "A"}),
        ([["split_paths", [A]]], {"main": "ABCDEF"}),
        ([["split_paths", ["/nix/store/other"]]], {"rest": "ABCDEF"}),
        ([["split_paths", [{"children_of": A}]]], {"main": "BCDEF", "rest": "A"}),
        (
            [["subcomponent_out", [B]], ["over", "rest", ["split_every", 1]], ["flatten"]],
            ["BDE", "A", "C", "F"],
        ),
        (
            [["subcomponent_out", [B]], ["over", "main", ["pipe", [["split_every", 2]]]]],
            {"main": ["BD", "E"], "rest": "ACF"},
        ),
        ([["split_every", 3], ["map", ["remove_paths", [E]]]], ["ABC", "DF"]),
        ([["split_paths", [A]], ["over", "rest", ["flatten"]]], {"main": "ABCDEF"}),
    ],
)
def test_operations_give(operations: list[object], result: object) -> None:
    assert _shown(parse_pipeline(operations)(_GRAPH)) == result


def test_path_of_several_roots_is_split_off() -> None:
    graph = graph_of(A="C", B="C", C="")

    split = parse_pipeline([["split_paths", [A]]])(graph)

    assert _shown(split) == {"main": "A", "common": "C", "rest": "B"}


def test_parts_that_are_left_are_layers_in_their_order() -> None:
    pipeline = parse_pipeline([["split_paths", [B]]])

    assert [names(layer) for layer in run_pipeline(pipeline, _GRAPH)] == ["BD", "E", "ACF"]


@pytest.mark.parametrize("limit", [1, 4, 50])
def test_popular_paths_are_limited(limit: int) -> None:
    graph = random_graph(1, 90)
    pipeline = parse_pipeline([["popularity_contest"], ["limit_layers", limit]])

    layers = run_pipeline(pipeline, graph)

    assert len(layers) == limit
    assert [len(layer) for layer in layers[:-1]] == [1] * (limit - 1)
    assert sorted(path for layer in layers for path in layer) == sorted(graph)


def test_empty_closure_has_no_layers() -> None:
    pipeline = parse_pipeline([["popularity_contest"], ["limit_layers", 3]])

    assert run_pipeline(pipeline, graph_of()) == []


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, r"pipeline: {}: not a list of operations"),
        (["flatten"], r"pipeline: 'flatten': not \[OPERATION, ARGUMENT ...\]"),
        ([["flaten"]], r"pipeline: 'flaten': no such operation"),
        ([["map", ["over", "main", ["no"]]]], "pipeline: map: over: 'no': no such operation"),
        ([["reverse", 1]], "pipeline: reverse: takes 0 arguments, got 1"),
        ([["limit_layers", 0]], "pipeline: limit_layers: 0: not a number above 0"),
        ([["split_every", True]], "pipeline: split_every: True: not a number above 0"),
        ([["over", "mian", ["flatten"]]], "pipeline: over: 'mian': no part, want one of main"),
        ([["remove_paths", [1]]], "pipeline: remove_paths: 1: not a path"),
        ([["split_paths", [{"parents_of": A}]]], "not {'children_of': PATHS}"),
    ],
)
def test_pipeline_that_is_none_is_refused(document: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_pipeline(document)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([["limit_layers", 2]], "pipeline: limit_layers: takes a list, was given a graph"),
        ([["flatten"], ["popularity_contest"]], "takes a graph, was given a list"),
        ([["over", "main", ["flatten"]]], "pipeline: over: takes parts, was given a graph"),
        ([["split_paths", [B]], ["reverse"]], "reverse: takes a list, was given parts"),
    ],
)
def test_operation_on_what_it_does_not_take_is_refused(document: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_pipeline(document)(_GRAPH)
