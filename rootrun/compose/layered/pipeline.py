"""A layering pipeline: a list of operations, ``[NAME, ARGUMENT ...]`` each, as JSON has it."""

from collections.abc import Callable, Sequence

from rootrun.compose.layered import operations
from rootrun.compose.layered.graph import Graph, StorePath
from rootrun.compose.layered.operations import PARTS, Value, flatten
from rootrun.compose.layered.popularity import popularity_contest
from rootrun.errors import UsageError

Operation = Callable[[Value], Value]
_Arguments = Sequence[object]


def parse_pipeline(document: object) -> Operation:
    """Return what ``document``, a list of operations, does one after the other.

    Raises UsageError for what is none. What it returns raises UsageError where an operation is
    given another kind of value than it takes.
    """
    return _pipe(document, where="pipeline")


def run_pipeline(pipeline: Operation, graph: Graph) -> list[Graph]:
    """Return the layers that ``pipeline`` makes of ``graph``, without empty ones.

    Raises UsageError if a path is in several of them; one that is in none was removed.
    """
    if not len(graph):
        return []
    layers = flatten(pipeline(graph))
    seen: set[StorePath] = set()
    for path in (path for layer in layers for path in layer):
        if path in seen:
            raise UsageError(f"pipeline: {path}: is in more than one layer")
        seen.add(path)
    return layers


def _parse_operation(document: object, *, where: str) -> Operation:
    """Return one operation; a list of operations is ``pipe`` with that list, as it is elsewhere."""
    if not isinstance(document, list) or not document or not isinstance(document[0], str):
        raise UsageError(f"{where}: {document!r:.100}: not [OPERATION, ARGUMENT ...]")
    name, *arguments = document
    if name not in _OPERATIONS:
        known = ", ".join(sorted(_OPERATIONS))
        raise UsageError(f"{where}: {name!r}: no such operation", hint=f"there are {known}")
    takes, make = _OPERATIONS[name]
    if len(arguments) != takes:
        raise UsageError(f"{where}: {name}: takes {takes} arguments, got {len(arguments)}")
    return make(arguments, f"{where}: {name}")


def _pipe_of(arguments: _Arguments, where: str) -> Operation:
    return _pipe(arguments[0], where=where)


def _pipe(document: object, *, where: str) -> Operation:
    if not isinstance(document, list):
        raise UsageError(f"{where}: {document!r:.100}: not a list of operations")
    steps = [_parse_operation(one, where=where) for one in document]

    def pipe(value: Value) -> Value:
        for step in steps:
            value = step(value)
        return value

    return pipe


def _map(arguments: _Arguments, where: str) -> Operation:
    (document,) = arguments
    function = _parse_operation(document, where=where)
    return lambda value: [function(one) for one in _list(value, where)]


def _over(arguments: _Arguments, where: str) -> Operation:
    key, document = arguments
    if key not in PARTS:
        raise UsageError(f"{where}: {key!r:.100}: no part, want one of {', '.join(PARTS)}")
    function = _parse_operation(document, where=where)

    def over(value: Value) -> Value:
        if not isinstance(value, dict):
            raise _wrong(value, "parts", where)
        # Parts that are empty are left out, so that one pipeline does for many images.
        return {name: function(one) if name == key else one for name, one in value.items()}

    return over


def _flatten(_: _Arguments, _where: str) -> Operation:
    return lambda value: [*flatten(value)]


def _reverse(_: _Arguments, where: str) -> Operation:
    return lambda value: list(reversed(_list(value, where)))


def _popularity_contest(_: _Arguments, where: str) -> Operation:
    return lambda value: [*popularity_contest(_graph(value, where))]


def _split_every(arguments: _Arguments, where: str) -> Operation:
    number = _count(arguments[0], where)
    return lambda value: operations.split_every(_graph(value, where), count=number)


def _limit_layers(arguments: _Arguments, where: str) -> Operation:
    number = _count(arguments[0], where)
    return lambda value: operations.limit_layers(_list(value, where), count=number)


def _remove_paths(arguments: _Arguments, where: str) -> Operation:
    removed = _paths(arguments[0], where)
    return lambda value: _graph(value, where).without(removed)


def _subcomponent_in(arguments: _Arguments, where: str) -> Operation:
    chosen = _paths(arguments[0], where)
    return lambda value: operations.subcomponent_in(_graph(value, where), paths=chosen)


def _subcomponent_out(arguments: _Arguments, where: str) -> Operation:
    chosen = _paths(arguments[0], where)
    return lambda value: operations.subcomponent_out(_graph(value, where), paths=chosen)


def _split_paths(arguments: _Arguments, where: str) -> Operation:
    paths = arguments[0]
    specs = [_split_spec(one, where) for one in (paths if isinstance(paths, list) else [paths])]

    def split(value: Value) -> Value:
        graph = _graph(value, where)
        chosen = [path for spec in specs for path in spec(graph)]
        return {**operations.split_paths(graph, paths=chosen)}

    return split


def _split_spec(document: object, where: str) -> Callable[[Graph], Sequence[StorePath]]:
    """Return what finds the paths that ``document`` means: itself, or the children of some."""
    if isinstance(document, dict):
        if [*document] != ["children_of"]:
            raise UsageError(f"{where}: {document!r:.100}: not {{'children_of': PATHS}}")
        parents = _paths(document["children_of"], f"{where}: children_of")
        return lambda graph: [
            child for path in parents for child in operations.children_of(graph, path)
        ]
    paths = _paths(document, where)
    return lambda _: paths


_OPERATIONS: dict[str, tuple[int, Callable[[_Arguments, str], Operation]]] = {
    "flatten": (0, _flatten),
    "limit_layers": (1, _limit_layers),
    "map": (1, _map),
    "over": (2, _over),
    "pipe": (1, _pipe_of),
    "popularity_contest": (0, _popularity_contest),
    "remove_paths": (1, _remove_paths),
    "reverse": (0, _reverse),
    "split_every": (1, _split_every),
    "split_paths": (1, _split_paths),
    "subcomponent_in": (1, _subcomponent_in),
    "subcomponent_out": (1, _subcomponent_out),
}


def _count(document: object, where: str) -> int:
    if isinstance(document, int) and not isinstance(document, bool) and document > 0:
        return document
    raise UsageError(f"{where}: {document!r:.100}: not a number above 0")


def _paths(document: object, where: str) -> list[StorePath]:
    """Return paths; one alone may stand for a list of one."""
    documents = document if isinstance(document, list) else [document]
    for one in documents:
        if not isinstance(one, str):
            raise UsageError(f"{where}: {one!r:.100}: not a path")
    return [StorePath(str(one)) for one in documents]


def _graph(value: Value, where: str) -> Graph:
    if isinstance(value, Graph):
        return value
    raise _wrong(value, "a graph", where)


def _list(value: Value, where: str) -> list[Value]:
    if isinstance(value, list):
        return value
    raise _wrong(value, "a list", where)


def _wrong(value: Value, wanted: str, where: str) -> UsageError:
    kind = {Graph: "a graph", list: "a list", dict: "parts"}[type(value)]
    return UsageError(f"{where}: takes {wanted}, was given {kind}")
