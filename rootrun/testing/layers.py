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
from rootrun.layer.content import same_content
from rootrun.layer.cursor import Cursor
from rootrun.layer.diff import Change
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType, join
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.reach import reach
from rootrun.layer.record import IdRanges
from rootrun.layer.stack import Found, LayerStack, UnpackedLayer
from rootrun.layer.whiteout import WHITEOUT_PREFIX, whiteout_entry
from rootrun.namedtuple import NamedTuple
from rootrun.rootfs.marked import marked_directories
from rootrun.rootfs.scratch import discard
from rootrun.store.entry import TREE, read_record, write_record
from rootrun.testing.images import MachineGround

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
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
                self._remove(self.place / name)

    def _remove(self, layer: Path) -> None:
        try:
            discard(layer)
        except FileNotFoundError:
            pass  # the machine ended before it was made
        except OSError as error:
            log.warning("remove a layer: %s: %s", layer, error.strerror)


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
        above = [None if ROOT in self._record.implicit else self._directory(ROOT)]
        if above[0] and not above[0].is_ancestor:
            yield above[0]
        above[0] = None  # an unchanged root has no entry
        waiting = [self._names()]
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                above.pop()
                if waiting:
                    self._here.leave()
                continue
            name = waiting[-1].pop()
            change = self._change(name)
            if change is not None and not change.is_ancestor:
                yield from filter(None, above)
                above = [None] * len(above)
                yield change
            if change is not None and change.entry.type is EntryType.DIRECTORY:
                self._here.enter(name)
                waiting.append(self._names())
                above.append(change if change.is_ancestor else None)

    def _names(self) -> list[str]:
        """Return the names here, the last one first."""
        names = os.listdir(self._here.fd)
        gone = {name for name in names if self._is_gone(name)}
        return self._policy.shape.ordered(gone, set(names) - gone)[::-1]

    def _is_gone(self, name: str) -> bool:
        path = join(self._here.path, name)
        status = os.lstat(name, dir_fd=self._here.fd)
        return self._record.is_whiteout(path, status) and path not in self._record.entries

    def _change(self, name: str) -> Change | None:
        """Return what was done to ``name``, None if it is new in its time only."""
        path = join(self._here.path, name)
        if self._is_gone(name):
            marker = join(self._here.path, WHITEOUT_PREFIX + name)
            return Change(whiteout_entry(marker, mtime_s=self._policy.mtime_s))
        if stat.S_ISDIR(os.lstat(name, dir_fd=self._here.fd).st_mode):
            return self._directory(path)
        found, base = self._stack.find(path), self._below.find(path)
        assert found is not None
        if base and self._is_same(found.entry, base.entry) and self._has_content(name, base):
            return None
        return Change(self._rewritten(found.entry), self._here.fd, name)

    def _has_content(self, name: str, base: Found) -> bool:
        if base.entry.type is not EntryType.FILE:
            return True
        with reach(os.fspath(base.content.tree), base.content.path) as (directory_fd, base_name):
            base_fd = os.open(base_name, _OPEN_FILE, dir_fd=directory_fd)
        try:
            return same_content(name, base_fd, directory_fd=self._here.fd)
        finally:
            os.close(base_fd)

    def _directory(self, path: EntryPath) -> Change:
        """Return a directory; as the base has it, if it is there for what is below it only."""
        found, base = self._stack.find(path), self._below.find(path)
        assert found is not None
        if base and self._is_same(found.entry, base.entry):
            entry = replace(base.entry, mtime_s=self._policy.mtime_of(found.entry.mtime_s))
            return Change(entry, is_ancestor=True)
        return Change(self._rewritten(found.entry))

    def _is_same(self, entry: Entry, base: Entry) -> bool:
        """Say whether nothing is new that counts, but for the content of a file."""
        if not self._policy.owner_counts:
            entry = replace(entry, uid=base.uid, gid=base.gid)
        return replace(entry, mtime_s=base.mtime_s) == base


def _check(name: str) -> None:
    if len(name) != _NAME_LENGTH or not name.isalnum():
        raise MachineError(f"fork: {name!r}: is no layer")
