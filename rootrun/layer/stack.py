"""The layers of an image above each other: which layer decides a path, and what it says.

The kernel merges the layers' trees for the script. This module answers for the
few paths of which the trees do not tell the truth: those that a layer's record
speaks of.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rootrun.errors import UnsafeEntryError
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType, ancestors, join
from rootrun.layer.metadata import entry_of, is_whiteout, kept_xattrs
from rootrun.layer.record import LayerRecord

_SYMLINK_LIMIT = 40  # as the kernel: path_resolution(7)
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackedLayer:
    """A layer in the form that overlayfs takes as a lower directory, and its record."""

    tree: Path
    record: LayerRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a stack has at a path.

    ``entry`` is the truth, as the image's tar has it; ``disk`` is what lstat(2)
    says of the layer's tree, None for a device, which the disk does not hold.
    """

    position: int  # of the layer, 0 is the bottom
    entry: Entry
    disk: os.stat_result | None


class _Hidden:
    """The layer says that nothing of the layers below is seen at the path."""


_HIDDEN = _Hidden()


class LayerStack:
    """Unpacked layers, bottom first. Holds no descriptors.

    ``recorded`` are the paths that some layer's record speaks of.
    """

    def __init__(self, layers: Sequence[UnpackedLayer]) -> None:
        self.layers = tuple(layers)
        self.recorded = frozenset[EntryPath]().union(
            *(layer.record.entries for layer in self.layers)
        )

    def below(self, position: int) -> "LayerStack":
        """Return the stack of the layers below ``position``."""
        return LayerStack(self.layers[:position])

    def find(self, path: EntryPath) -> Found | None:
        """Return what is seen at ``path``, None for nothing.

        A directory that a layer only implies has the metadata that a layer below
        states, and 0755 0:0 where none does.
        """
        implied: Found | None = None
        for position in range(len(self.layers) - 1, -1, -1):
            answer = self._ask(position, path)
            if isinstance(answer, _Hidden):
                break
            if answer is None:
                continue
            layer = self.layers[position]
            if path not in layer.record.implicit:
                if implied is None or answer.entry.type is EntryType.DIRECTORY:
                    return answer
                break
            implied = implied or answer
            if _is_cut_off(layer.record, path) or path in layer.record.opaque:
                break
        return implied

    def hides_below(self, path: EntryPath) -> bool:
        """Say whether some layer hides what a layer below the stack would have at ``path``."""
        return any(
            isinstance(self._ask(position, path), _Hidden) for position in range(len(self.layers))
        )

    def decides(self, position: int, path: EntryPath) -> bool:
        """Say whether no layer above ``position`` has or hides ``path``."""
        return all(
            self._ask(above, path) is None for above in range(position + 1, len(self.layers))
        )

    def root(self) -> Entry:
        """Return the metadata of the root directory: the topmost that a layer states."""
        found = self.find(ROOT)
        default = Entry(path=ROOT, type=EntryType.DIRECTORY, mode=0o755)
        return found.entry if found else default

    def resolve(self, path: EntryPath) -> EntryPath:
        """Return where ``path`` leads when its symlinks are followed inside the root.

        What does not exist is taken for a directory. Raises UnsafeEntryError for a
        loop (ELOOP, path_resolution(7)).
        """
        pending = path.split("/")[::-1] if path else []
        resolved: list[str] = []
        hops = 0
        while pending:
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                del resolved[-1:]
                continue
            here = join(EntryPath("/".join(resolved)), name)
            found = self.find(here)
            if found is None or found.entry.type is not EntryType.SYMLINK:
                resolved.append(name)
                continue
            hops += 1
            if hops > _SYMLINK_LIMIT:
                raise UnsafeEntryError(f"resolve in image: {path!r}: too many symlinks")
            if found.entry.link_target.startswith("/"):
                resolved.clear()
            pending.extend(found.entry.link_target.split("/")[::-1])
        return EntryPath("/".join(resolved))

    def _ask(self, position: int, path: EntryPath) -> Found | _Hidden | None:
        layer = self.layers[position]
        tree = os.fspath(layer.tree)
        missing = _HIDDEN if _is_cut_off(layer.record, path) else None
        for ancestor in ancestors(path):
            status = _lstat(tree, ancestor)
            if status is None:
                return missing
            if not stat.S_ISDIR(status.st_mode):
                return _HIDDEN
        status = _lstat(tree, path)
        if status is None:
            return missing
        recorded = layer.record.entries.get(path)
        if is_whiteout(status) and recorded is None:
            return _HIDDEN
        return _found(tree, path, position=position, status=status, layer=layer)


def _lstat(tree: str, path: EntryPath) -> os.stat_result | None:
    # Each ancestor was seen to be a real directory before its child is asked for.
    try:
        return os.lstat(f"{tree}/{path}" if path else tree)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_cut_off(record: LayerRecord, path: EntryPath) -> bool:
    """Say whether an opaque directory above ``path`` hides the layers below."""
    opaque = record.opaque
    return bool(opaque) and any(
        above in opaque for above in (ROOT, *ancestors(path)) if above != path
    )


def _found(
    tree: str, path: EntryPath, *, position: int, status: os.stat_result, layer: UnpackedLayer
) -> Found:
    recorded = layer.record.entries.get(path)
    if recorded is not None and is_whiteout(status):
        entry = Entry(
            path=path,
            type=recorded.type,
            mode=recorded.mode,
            uid=recorded.uid,
            gid=recorded.gid,
            rdev=recorded.rdev,
        )
        return Found(position=position, entry=entry, disk=None)
    full = f"{tree}/{path}" if path else tree
    target = os.readlink(full) if stat.S_ISLNK(status.st_mode) else ""
    entry = entry_of(path, status, link_target=target, xattrs=_xattrs_at(full, status))
    if recorded is not None:
        entry = replace(
            entry,
            mode=recorded.mode,
            uid=recorded.uid,
            gid=recorded.gid,
            xattrs=dict(recorded.xattrs),
        )
    return Found(position=position, entry=entry, disk=status)


def _xattrs_at(full: str, status: os.stat_result) -> dict[str, bytes]:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return {}
    descriptor = os.open(full, _OPEN)
    try:
        return kept_xattrs(descriptor)
    finally:
        os.close(descriptor)
