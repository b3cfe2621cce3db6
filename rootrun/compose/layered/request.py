"""What ``rootrun layered`` was asked for, as one frozen value."""

from pathlib import Path

from rootrun.compose.layered.layer_plan import SIZE, Store, store_path_of
from rootrun.compose.layered.pipeline import Operation
from rootrun.dataclass import dataclass
from rootrun.request import CopyIn, Request

DEFAULT_MAX_LAYERS = 100


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

    @property
    def linked(self) -> tuple[Path, ...]:
        """The contents that are in the store."""
        return tuple(path for path in self.contents if store_path_of(path, self.store))

    @property
    def copies(self) -> tuple[CopyIn, ...]:
        """What is copied: contents from elsewhere, then what the run itself asks for."""
        others = [path for path in self.contents if not store_path_of(path, self.store)]
        return (*(CopyIn(source=path) for path in others), *self.run.copies)
