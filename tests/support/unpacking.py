"""Unpacking layers in tests: in a directory, with a watch on everything around it."""

import io
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rootrun.layer.apply import apply_layer
from rootrun.layer.checksum import checksum_tree
from rootrun.layer.entry import DEVICE_TYPES, SET_ID_BITS, EntryPath, EntryType
from rootrun.layer.record import IdRanges, LayerRecord, Recorded
from tests.support.tarball import Member, tarball

SECRET = b"of the host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Ids from 0 up to ``limit``: what a map of a user namespace can have."""

    limit: int

    def has_uid(self, container_uid: int, /) -> bool:
        """Say whether there is such a user."""
        return container_uid < self.limit

    def has_gid(self, container_gid: int, /) -> bool:
        """Say whether there is such a group."""
        return container_gid < self.limit


EVERY_ID = Range(limit=1 << 32)
ONE_ID = Range(limit=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A layer on disk, and its record."""

    root: Path
    record: LayerRecord

    def lstat(self, path: str) -> os.stat_result:
        """Return what the disk says of ``path``."""
        return (self.root / path).lstat()

    def names(self) -> list[str]:
        """Return all paths, sorted."""
        return sorted(os.fspath(path.relative_to(self.root)) for path in self.root.rglob("*"))

    def recorded(self) -> Mapping[EntryPath, Recorded]:
        """Return what is recorded for more than that the caller cannot give root's files to root.

        For root these are all records.
        """
        if os.geteuid() == 0:
            return self.record.entries
        return {
            path: recorded
            for path, recorded in self.record.entries.items()
            if recorded.type in DEVICE_TYPES
            or (recorded.type is EntryType.FILE and recorded.mode & SET_ID_BITS)
            or recorded.xattrs
            or (recorded.uid, recorded.gid) != (0, 0)
        }

    def is_whiteout(self, path: str) -> bool:
        """Say whether overlayfs takes ``path`` for a deletion."""
        status = self.lstat(path)
        return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0

    def is_opaque(self, path: str) -> bool:
        """Say whether overlayfs takes the directory ``path`` for opaque."""
        return "user.overlay.opaque" in os.listxattr(self.root / path)


def unpack(
    tmp_path: Path,
    *entries: Member | bytes,
    ids: IdRanges = EVERY_ID,
    redirects: Mapping[str, str] | None = None,
    layer: bytes | None = None,
) -> Unpacked:
    """Unpack ``entries``, or ``layer``, in ``tmp_path/tree``; all around it must stay as it is.

    The checksum in the record must be that of the tree, and the record must
    survive being written and read.
    """
    root = tmp_path / "tree"
    root.mkdir()
    before = surroundings(tmp_path)
    tree_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    targets = {EntryPath(key): EntryPath(value) for key, value in (redirects or {}).items()}
    content = tarball(*entries) if layer is None else layer
    try:
        record = apply_layer(io.BytesIO(content), tree_fd=tree_fd, ids=ids, redirects=targets)
        assert checksum_tree(tree_fd) == record.checksum
        assert LayerRecord.from_bytes(record.to_bytes()) == record
        return Unpacked(root=root, record=record)
    finally:
        os.close(tree_fd)
        assert surroundings(tmp_path) == before


def plant_victims(tmp_path: Path) -> Path:
    """Make a directory beside the tree that an attack would read, change or remove."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (outside / "directory").mkdir()
    (outside / "directory" / "kept").write_bytes(SECRET)
    (outside / "link").symlink_to("secret")
    return outside


def surroundings(tmp_path: Path) -> dict[Path, tuple[object, ...]]:
    """Return all there is beside the tree; see ``state_of``.

    Without the times of ``tmp_path`` itself, which any unpacking in it changes.
    """
    return state_of(*(path for path in tmp_path.iterdir() if path.name != "tree"))


def state_of(*tops: Path) -> dict[Path, tuple[object, ...]]:
    """Return what shows any change at or below ``tops``.

    Content, modes, owners, link counts, times of change.
    """
    found: dict[Path, tuple[object, ...]] = {}
    for path in (path for top in tops for path in (top, *top.rglob("*"))):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        owner = (status.st_uid, status.st_gid)
        times = (status.st_mtime_ns, status.st_ctime_ns)
        found[path] = (content, status.st_mode, owner, status.st_nlink, *times)
    return found
