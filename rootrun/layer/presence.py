"""Which layers of a stack have a directory, and which hide it: asked once a directory.

An image can have hundreds of layers and a path be in one of them. Asking all of
them for each path costs layers times paths; a directory is asked for once, in the
layers that have the directory above it.
"""

import stat
from bisect import bisect_left
from collections.abc import Sequence

from rootrun.dataclass import dataclass, field
from rootrun.layer.entry import ROOT, EntryPath, parent
from rootrun.layer.reach import lstat_at
from rootrun.layer.record import LayerRecord


@dataclass(slots=True)
class Presence:
    """Positions of layers, ascending, the bottom is 0, for one directory.

    ``holders`` have it as a directory. ``barriers`` hide what the layers below them
    have in it: it is opaque there, or below an opaque one, or no directory.
    """

    holders: list[int] = field(default_factory=list)
    barriers: list[int] = field(default_factory=list)
    asked: int = 0  # layers, from the bottom


class DirectoryIndex:
    """The presence of each directory that was asked for; layers are added on top only."""

    def __init__(self) -> None:
        self._layers: list[tuple[str, LayerRecord]] = []
        self._known: dict[EntryPath, Presence] = {ROOT: Presence()}

    def add(self, tree: str, record: LayerRecord) -> None:
        """Add a layer on top."""
        root = self._known[ROOT]
        root.holders.append(root.asked)
        if ROOT in record.opaque:
            root.barriers.append(root.asked)
        root.asked += 1
        self._layers.append((tree, record))

    def presence(self, directory: EntryPath) -> Presence:
        """Return where ``directory`` is; the value is the index's own and grows with it."""
        stale = []
        path = directory
        while (known := self._known.get(path)) is None or known.asked < len(self._layers):
            stale.append(path)
            path = parent(path)
        for path in reversed(stale):
            known = self._extend(path, above=known)
        return known

    def _extend(self, path: EntryPath, *, above: Presence) -> Presence:
        """Ask the layers for ``path`` that were added since it was asked for."""
        known = self._known.setdefault(path, Presence())
        barriers = set(_from(above.barriers, known.asked))
        for position in _from(above.holders, known.asked):
            tree, record = self._layers[position]
            status = lstat_at(tree, path)
            if status is None:
                continue
            if stat.S_ISDIR(status.st_mode):
                known.holders.append(position)
            if not stat.S_ISDIR(status.st_mode) or path in record.opaque:
                barriers.add(position)
        known.barriers.extend(sorted(barriers))
        known.asked = above.asked
        return known


def _from(positions: Sequence[int], first: int) -> Sequence[int]:
    return positions[bisect_left(positions, first) :]
