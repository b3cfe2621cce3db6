"""What ``rootrun layered`` was asked for, as one frozen value."""

from pathlib import Path

from rootrun.compose.layered.layer_plan import SIZE, Store, store_path_of
from rootrun.compose.layered.pipeline import Operation
from rootrun.dataclass import dataclass
from rootrun.namedtuple import NamedTuple
from rootrun.request import CopyIn, Request

DEFAULT_MAX_LAYERS = 100


class ReadyLayer(NamedTuple):
    """A layer that is made already. ``content`` is its tar."""

    content: bytes
    entry_count: int
    created_by: str  # for the history
    needed: tuple[tuple[str, Path], ...] = ()  # of the store, with the options that name it


@dataclass(frozen=True, slots=True, kw_only=True)
class LayeredRequest:
    """An image of store paths. ``run`` is what is made on top of them, and of the whole image."""

    run: Request
    closures: tuple[Path, ...] = ()
    contents: tuple[Path, ...] = ()
    store: Store
    how: str | Operation = SIZE  # SIZE, POPULARITY or a pipeline
    has_store_paths: bool = True  # else contents lead to a store that is mounted later
    max_layers: int = DEFAULT_MAX_LAYERS
    ready: ReadyLayer | None = None  # between those of the store and what ``run`` makes

    @property
    def needed(self) -> tuple[tuple[str, Path], ...]:
        """What must be there, and if it is in the store in the closure, by option."""
        ready = self.ready.needed if self.ready else ()
        return (*(("--contents", path) for path in self.contents), *ready)

    @property
    def linked(self) -> tuple[Path, ...]:
        """The contents that are in the store."""
        return tuple(path for path in self.contents if store_path_of(path, self.store))

    @property
    def copies(self) -> tuple[CopyIn, ...]:
        """What is copied: contents from elsewhere, then what the run itself asks for."""
        others = [path for path in self.contents if not store_path_of(path, self.store)]
        return (*(CopyIn(source=path) for path in others), *self.run.copies)

    @property
    def is_plain(self) -> bool:
        """Whether there are only paths of the store, and links to them or a layer that is ready.

        Nothing is run then, and nothing is there before that it could be laid on.
        """
        run = self.run
        others = (run.base, *self.copies, *run.helpers, *run.references, run.extra_scripts)
        is_alone = not any((*others, run.registrations, run.has_steps))
        asks_for_more = run.is_checked or run.has_step_cache or run.sandbox.id_map != "auto"
        return is_alone and not asks_for_more and not (self.linked and self.ready)
