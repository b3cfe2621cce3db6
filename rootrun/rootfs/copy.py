"""The copy backend: the merged tree of the layers, copied; afterwards it is scanned for changes.

It needs no overlayfs: for kernels before 5.11, for overlay on overlay. Its cost follows the base.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from rootrun import log
from rootrun.errors import SandboxError
from rootrun.layer.compare import DiffNotes, Ownership
from rootrun.layer.diff import Change, Rules, diff_tree
from rootrun.layer.entry import ROOT, EntryPath
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.stack import LayerStack
from rootrun.rootfs.copy_base import CopyBase, NoPlace, is_written
from rootrun.rootfs.copy_file import ContentCopier
from rootrun.rootfs.copy_scan import scan
from rootrun.rootfs.copy_table import CopyTable, birth_ns, ctime_tells, wait_for_tick
from rootrun.rootfs.copy_tree import Lower, copy_merged
from rootrun.rootfs.extra_layer import ExtraLayer, give_root_metadata, put_right
from rootrun.rootfs.mount_points import MountPoint, lay_mount_points

_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOCK = "clock"


class CopyRootfs:
    """A copied root; ``rootfs.backend.Rootfs`` is its interface."""

    backend = "copy"
    tmpfs: Path | None = None

    def __init__(self, stack: LayerStack, table: CopyTable, *, scratch: Path) -> None:
        self.root = self.upper = scratch / "merged"
        self._stack = stack
        self._table = table
        self._root_status = os.lstat(self.root)
        self._nothing = scratch

    def changes(
        self, policy: LayerPolicy, notes: DiffNotes, ownership: Ownership | None = None
    ) -> Iterator[Change]:
        """Yield what is not as it was copied."""
        root_fd = os.open(self.root, _OPEN_DIRECTORY)
        try:
            start = time.monotonic()
            touched = scan(root_fd, self._table, partial(is_written, self._stack))
            log.debug("scanned the copy in %.3f s", time.monotonic() - start)
            base = CopyBase(
                self._stack,
                self._table,
                touched,
                root_status=self._root_status,
                nothing=self._nothing,
            )
            rules = Rules(policy, notes, ownership)
            yield from diff_tree(root_fd, touched, base=base, below=NoPlace(), rules=rules)
        finally:
            os.close(root_fd)

    def base_files(self, paths: Iterable[EntryPath]) -> Iterator[tuple[EntryPath, int, int]]:
        """Yield what the copy still has at ``paths``, with inode number and birth time."""
        root_fd = os.open(self.root, _OPEN_DIRECTORY)
        try:
            for path in paths:
                name = path or "."
                try:
                    # A symlink that the script has put in the way leads to no file of the table.
                    status = os.lstat(name, dir_fd=root_fd)
                    born_ns = birth_ns(root_fd, name)
                except OSError:
                    continue  # it is gone, or what is above it
                stamp = self._table.find(path)
                if path == ROOT or (stamp and self._table.is_own(stamp, status, born_ns)):
                    yield path, status.st_ino, born_ns
        finally:
            os.close(root_fd)


@contextmanager
def copy_rootfs(
    stack: LayerStack,
    *,
    scratch: Path,
    mount_points: Iterable[MountPoint] = (),
    stand_ins: Iterable[EntryPath] = (),
) -> Iterator[CopyRootfs]:
    """Copy the root of ``stack`` to ``scratch/merged``; it goes with the scratch tree.

    ``stand_ins`` are those of ``put_right``. Raises SandboxError if there is no room, or
    if nothing could be executed there.
    """
    _check_mount(scratch)
    with ExitStack() as cleanup:
        root = scratch / "merged"
        root.mkdir()
        root_fd = os.open(root, _OPEN_DIRECTORY)
        cleanup.callback(os.close, root_fd)
        scratch_fd = os.open(scratch, _OPEN_DIRECTORY)
        cleanup.callback(os.close, scratch_fd)
        start, copier = time.monotonic(), ContentCopier()
        try:
            lowers = _lowers_of(stack, scratch, mount_points=mount_points, stand_ins=stand_ins)
            table = copy_merged(lowers, root_fd, copier)
            give_root_metadata(root, stack)
            table.ctime_tells = ctime_tells(root_fd)
            rootfs = CopyRootfs(stack, table, scratch=scratch)
            wait_for_tick(scratch_fd, _CLOCK, after_ns=table.made_ns)
        except OSError as error:
            raise _refused(scratch, error) from error
        log.debug(
            "copied the root in %.3f s: %d files by reflink, %d by copying",
            time.monotonic() - start,
            copier.reflinks,
            copier.copies,
        )
        yield rootfs


def _lowers_of(
    stack: LayerStack,
    scratch: Path,
    *,
    mount_points: Iterable[MountPoint],
    stand_ins: Iterable[EntryPath],
) -> list[Lower]:
    """Return what to merge, the topmost first: as the overlay backend mounts it."""
    extra = put_right(stack, scratch / "put-right", stand_ins=stand_ins)
    below = ExtraLayer(scratch / "below", stack)
    above = ExtraLayer(scratch / "above", stack)
    lay_mount_points(mount_points, stack, below=below, above=above)
    return [
        *([] if above.is_empty else [Lower(above.tree, is_base=False)]),
        *([] if extra.is_empty else [Lower(extra.tree)]),
        *(Lower(layer.tree, layer.record) for layer in reversed(stack.layers)),
        *([] if below.is_empty else [Lower(below.tree, is_base=False)]),
    ]


def _check_mount(scratch: Path) -> None:
    """Refuse a place where the script's programs could not run, unlike below an overlay."""
    flags = os.statvfs(scratch).f_flag
    if flags & os.ST_NOEXEC:
        raise SandboxError(f"copy root: {scratch}: is mounted noexec", hint="give another --tmpdir")
    if flags & os.ST_NOSUID:
        log.info("%s is mounted nosuid: set-id programs do not change ids in the copy", scratch)


def _refused(scratch: Path, error: OSError) -> SandboxError:
    where = scratch if error.filename is None else f"{scratch}: {error.filename!r}"
    hint = None
    if error.errno in _FULL:
        hint = "a copied root takes as much room as the whole image; --tmpdir puts it elsewhere"
    return SandboxError(f"copy root: {where}: {error.strerror or error}", hint=hint)
