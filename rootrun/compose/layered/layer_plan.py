"""Which store paths go into which layer, decided before anything is read of them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rootrun.compose.layered.graph import Graph, Node, StorePath
from rootrun.compose.layered.graph_file import Registration, read_closures
from rootrun.compose.layered.operations import flatten, limit_layers
from rootrun.compose.layered.pipeline import Operation, run_pipeline
from rootrun.compose.layered.popularity import popularity_contest
from rootrun.compose.layered.split_by_size import split_by_size
from rootrun.compose.layered.store_tree import (
    END_BYTES,
    Found,
    Measure,
    measure,
    parents_bytes,
    parents_of,
    store_changes,
)
from rootrun.errors import UsageError, told_as
from rootrun.layer.diff import Change
from rootrun.layer.entry import Entry, EntryType
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.stack import LayerStack
from rootrun.namedtuple import NamedTuple

SIZE = "size"
POPULARITY = "popularity"


class Store(NamedTuple):
    """A store, and how what is in it is rewritten for layers."""

    directory: str  # absolute, without a slash at the end
    policy: LayerPolicy
    found_above: tuple[Entry, ...] = ()  # that and what is above it, where the base has them

    def on(self, stack: LayerStack) -> "Store":
        """Return the store in an image that has the layers of ``stack`` below those of the store.

        A directory that is there keeps its mode and owner.
        """
        founds = map(stack.find, parents_of(self.directory))
        entries = (found.entry for found in founds if found is not None)
        kept = tuple(entry for entry in entries if entry.type is EntryType.DIRECTORY)
        return self._replace(found_above=kept)


class StoreLayer(NamedTuple):
    """A layer to make. ``size_bytes`` is that of its tar."""

    paths: tuple[StorePath, ...]
    size_bytes: int


class Closure(NamedTuple):
    """Paths of a store: who refers to whom, and what they take."""

    graph: Graph
    measures: Mapping[StorePath, Measure]


def read_closure(files: Sequence[Path], store: Store) -> Closure:
    """Return the closure that ``files`` tell of, all of which must be there.

    Raises UsageError for what is missing, and where paths refer to each other in a circle.
    """
    told = read_closures(files, store=store.directory)
    measures = _measured(told, store) if told else {}
    nodes = {
        path: Node(one.references, _size_bytes(one, measures[path])) for path, one in told.items()
    }
    graph = Graph(nodes)
    try:
        graph.users_first()
    except ValueError as error:
        raise UsageError(f"--closure: {error}") from error
    return Closure(graph, measures)


def _size_bytes(told: Registration, measured: Measure) -> int:
    return measured.archive_bytes if told.size_bytes is None else told.size_bytes


def _measured(told: Mapping[StorePath, Registration], store: Store) -> dict[StorePath, Measure]:
    with told_as(UsageError, "--store-dir", store.directory):
        store_fd = os.open(store.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    measures = {}
    try:
        for path in sorted(told):
            with told_as(UsageError, "--closure", path):
                measures[path] = measure(path, store_fd=store_fd, policy=store.policy)
    finally:
        os.close(store_fd)
    return measures


def check_needed(option: str, path: Path, closure: Closure, store: Store) -> None:
    """Raise UsageError if ``path`` is not there, or is in the store and not in the closure.

    ``option`` is the one that names it.
    """
    with told_as(UsageError, option, path):
        os.stat(path)
    top = store_path_of(path, store)
    if top is not None and top not in closure.graph:
        raise UsageError(
            f"{option}: {os.fspath(path)!r}: {top} is not in the closure",
            hint="--closure FILE tells what is",
        )


def store_path_of(path: Path, store: Store) -> StorePath | None:
    """Return the path of the store that ``path`` is or is in, None for one elsewhere."""
    text = os.path.abspath(path)
    if not text.startswith(f"{store.directory}/"):
        return None
    name = text[len(store.directory) + 1 :].partition("/")[0]
    return StorePath(f"{store.directory}/{name}")


def available_layers(*, max_layers: int, below: int, above: int) -> int:
    """Return how many layers the store may have; raise UsageError if that is none."""
    available = max_layers - below - above
    if available < 1:
        raise UsageError(
            f"--max-layers: {max_layers}: the base has {below} layers and {above} more are for the"
            " contents and scripts: at least one must remain for the store",
            hint=f"at least {below + above + 1} are needed",
        )
    return available


def changes_of(layer: StoreLayer, store: Store) -> Iterator[tuple[Found | None, Change]]:
    """Yield the entries of ``layer``; see ``store_changes``."""
    return store_changes(
        layer.paths, store=store.directory, policy=store.policy, found_above=store.found_above
    )


def on_base(
    layers: Iterable[StoreLayer], store: Store, stack: LayerStack
) -> tuple[tuple[StoreLayer, ...], Store]:
    """Return ``layers`` as they are on top of ``stack``, and the store."""
    placed = store.on(stack)
    more_bytes = parents_bytes(placed.directory, placed.policy, placed.found_above)
    more_bytes -= parents_bytes(store.directory, store.policy, store.found_above)
    changed = (layer._replace(size_bytes=layer.size_bytes + more_bytes) for layer in layers)
    return tuple(changed), placed


def plan_store_layers(
    closure: Closure, store: Store, *, how: str | Operation, available: int
) -> tuple[StoreLayer, ...]:
    """Return the layers of the closure, bottom first, and not more than ``available``.

    ``how`` is SIZE, POPULARITY, or a pipeline, which makes as many as it likes.
    """
    if how == SIZE:
        parts = split_by_size(closure.graph, max_layers=available)
    elif how == POPULARITY:
        parts = flatten(limit_layers([*popularity_contest(closure.graph)], count=available))
    else:
        assert not isinstance(how, str)
        parts = run_pipeline(how, closure.graph)
    fixed_bytes = END_BYTES + parents_bytes(store.directory, store.policy, store.found_above)
    return tuple(
        StoreLayer(
            tuple(sorted(part)),
            fixed_bytes + sum(closure.measures[path].tar_bytes for path in part),
        )
        for part in parts
    )
