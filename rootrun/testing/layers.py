"""What machines were forked with: layers on their image, unpacked in the hub's scratch tree.

The machine that a fork is made for unpacks what the other one packs, both at once, through a pipe:
nothing is hashed, and nothing is written twice. Later forks of the fork lie on the same layers,
until the last machine on one has ended.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from rootrun import log
from rootrun.dataclass import replace
from rootrun.errors import LayerError, MachineError
from rootrun.layer.apply import apply_layer
from rootrun.layer.compare import Comparison, DiffNotes
from rootrun.layer.cursor import Cursor
from rootrun.layer.diff import Change
from rootrun.layer.entry import ROOT, EntryPath, EntryType, join
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.record import IdRanges
from rootrun.layer.removal import remove_tree
from rootrun.layer.stack import LayerStack, UnpackedLayer
from rootrun.layer.whiteout import WHITEOUT_PREFIX, whiteout_entry
from rootrun.namedtuple import NamedTuple
from rootrun.rootfs.marked import marked_directories
from rootrun.store.entry import TREE, read_record, write_record
from rootrun.testing.images import MachineGround

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME_LENGTH = 16


class LayerUsers:
    """Which layers below ``place`` are in use, by how many machines."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._users: dict[str, int] = {}

    def use(self, names: Sequence[str]) -> None:
        """Count one more machine on the layers ``names``."""
        for name in names:
            self._users[name] = self._users.get(name, 0) + 1

    def leave(self, names: Sequence[str]) -> None:
        """Count one machine less, and remove the layers that nobody is on any more."""
        for name in names:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
                self._remove(name)

    def _remove(self, name: str) -> None:
        fd = os.open(self.place, _OPEN_DIRECTORY)
        try:
            remove_tree(name, directory_fd=fd)
        except OSError as error:
            log.warning("remove a layer: %s: %s", self.place / name, error.strerror)
        finally:
            os.close(fd)


class _Stream:
    """The end of a pipe, as ``layer.source.Readable``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, size: int, /) -> bytes:
        return os.read(self._fd, size)


class Fork(NamedTuple):
    """What a machine is forked with, if it is."""

    place: Path
    names: Sequence[str]  # bottom first
    saved: int | None  # a pipe, from which the topmost one is still to be made

    def laid_on(self, ground: MachineGround) -> MachineGround:
        """Return ``ground`` with the layers on it; raises MachineError. Call it in the keeper."""
        if not self.names:
            return ground
        if self.saved is not None:
            unpack_saved(self.saved, self.names[-1], place=self.place, ids=ground.id_map)
        forked = read_layers(self.place, self.names)
        for layer in forked:
            ground.base.stack.add(layer)
        return ground._replace(forked=forked)


def unpack_saved(pipe: int, name: str, *, place: Path, ids: IdRanges) -> None:
    """Make the layer ``name`` of what comes by ``pipe``; raises MachineError."""
    _check(name)
    tree = place / name / TREE
    tree.mkdir(parents=True)
    tree_fd = os.open(tree, _OPEN_DIRECTORY)
    try:
        record = apply_layer(
            _Stream(pipe),
            tree_fd=tree_fd,
            ids=ids,
            redirects={},
            marked_directories=marked_directories,
        )
        write_record(place / name, record, key=name)
    except (LayerError, OSError) as error:
        raise MachineError(f"fork: {place}: {error}") from error
    finally:
        os.close(tree_fd)
        os.close(pipe)


def read_layers(place: Path, names: Sequence[str]) -> tuple[UnpackedLayer, ...]:
    """Return the layers ``names``, which are used."""
    return tuple(
        UnpackedLayer(tree=place / name / TREE, record=read_record(place / name)) for name in names
    )


def layer_changes(
    layer: UnpackedLayer, below: LayerStack, policy: LayerPolicy, notes: DiffNotes
) -> Iterator[Change]:
    """Yield ``layer``, whose tree was unpacked from a change of ``below``, as the change it was."""
    tree_fd = os.open(layer.tree, _OPEN_DIRECTORY)
    try:
        with Cursor(tree_fd) as here:
            yield from _Listing(here, layer, below, policy, notes).run()
    finally:
        os.close(tree_fd)


class _Listing:
    def __init__(
        self,
        here: Cursor,
        layer: UnpackedLayer,
        below: LayerStack,
        policy: LayerPolicy,
        notes: DiffNotes,
    ) -> None:
        self._here = here
        self._record = layer.record
        self._stack = LayerStack([layer])
        self._below = below
        self._policy = policy
        self._rewritten = Comparison(policy, notes).rewritten

    def run(self) -> Iterator[Change]:
        if ROOT not in self._record.implicit:
            yield self._directory(ROOT)
        waiting = [self._names()]
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if waiting:
                    self._here.leave()
                continue
            name = waiting[-1].pop()
            change = self._change(name)
            yield change
            if change.entry.type is EntryType.DIRECTORY:
                self._here.enter(name)
                waiting.append(self._names())

    def _names(self) -> list[str]:
        """Return the names here, the last one first."""
        names = os.listdir(self._here.fd)
        gone = {name for name in names if self._is_gone(name)}
        return self._policy.shape.ordered(gone, set(names) - gone)[::-1]

    def _is_gone(self, name: str) -> bool:
        path = join(self._here.path, name)
        status = os.lstat(name, dir_fd=self._here.fd)
        return self._record.is_whiteout(path, status) and path not in self._record.entries

    def _change(self, name: str) -> Change:
        path = join(self._here.path, name)
        if self._is_gone(name):
            marker = join(self._here.path, WHITEOUT_PREFIX + name)
            return Change(whiteout_entry(marker, mtime_s=self._policy.mtime_s))
        if stat.S_ISDIR(os.lstat(name, dir_fd=self._here.fd).st_mode):
            return self._directory(path)
        found = self._stack.find(path)
        assert found is not None
        return Change(self._rewritten(found.entry), self._here.fd, name)

    def _directory(self, path: EntryPath) -> Change:
        """Return a directory, as the base has it if it is there for what is below it only."""
        found, base = self._stack.find(path), self._below.find(path)
        assert found is not None
        entry = found.entry
        if base and base.entry == replace(entry, mtime_s=base.entry.mtime_s):
            return Change(replace(entry, mtime_s=self._policy.mtime_of(entry.mtime_s)))
        return Change(self._rewritten(entry))


def _check(name: str) -> None:
    if len(name) != _NAME_LENGTH or not name.isalnum():
        raise MachineError(f"fork: {name!r}: is no layer")
