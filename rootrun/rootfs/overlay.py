"""The overlay backend: the cached layers below, the run's changes in an upper directory.

The kernel merges them (overlayfs.rst). ``userxattr`` lets it keep its state in
a user namespace, since Linux 5.11; ``volatile`` spares the script's fsyncs.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path

from rootrun.errors import SandboxError
from rootrun.layer.compare import DiffNotes, Ownership
from rootrun.layer.diff import Change, diff_upper
from rootrun.layer.entry import EntryPath
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.stack import LayerStack
from rootrun.rootfs.base_view import BaseView
from rootrun.rootfs.extra_layer import ExtraLayer, give_root_metadata, put_right
from rootrun.rootfs.mount_points import MountPoint, lay_mount_points
from rootrun.sandbox.overlay import mount_overlay, mount_tmpfs, probe_overlay, unmount

_OPEN_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class UpperPlace(Enum):
    """Where the upper directory stands."""

    SCRATCH = "scratch"
    TMPFS = "tmpfs"  # private to the run's mount namespace


class OverlayRootfs:
    """A mounted overlay; ``rootfs.backend.Rootfs`` is its interface."""

    backend = "overlay"

    def __init__(self, stack: LayerStack, *, scratch: Path, base_lowers: Sequence[Path]) -> None:
        self.root = scratch / "merged"
        self._stack = stack
        self._scratch = scratch
        self.upper = scratch / "writable" / "upper"
        self.tmpfs: Path | None = None
        self._base_lowers = tuple(base_lowers)
        self._root_status = os.lstat(self.upper)

    def changes(
        self, policy: LayerPolicy, notes: DiffNotes, ownership: Ownership | None = None
    ) -> Iterator[Change]:
        """Yield what the upper holds that the base has not."""
        with ExitStack() as cleanup:
            view = cleanup.enter_context(
                merged_view(self._base_lowers, scratch=self._scratch)  # without mount points
            )
            upper_fd = os.open(self.upper, _OPEN_DIRECTORY)
            cleanup.callback(os.close, upper_fd)
            view_fd = os.open(view, _OPEN_DIRECTORY)
            cleanup.callback(os.close, view_fd)
            base = BaseView(self._stack, root_status=self._root_status)
            yield from diff_upper(
                upper_fd,
                base_fd=view_fd,
                base=base,
                policy=policy,
                notes=notes,
                ownership=ownership,
            )

    def base_files(self, _paths: Iterable[EntryPath]) -> None:
        """Return None: the base is below the upper."""


@contextmanager
def merged_view(base_lowers: Sequence[Path], *, scratch: Path) -> Iterator[Path]:
    """Mount ``base_lowers`` (top first) for reading, below ``scratch``."""
    view = scratch / "view"
    view.mkdir(exist_ok=True)
    # The empty one makes it an overlay also of one layer, whose whiteouts must not be seen.
    mount_overlay(view, lowers=[*base_lowers, _empty(scratch)])
    try:
        yield view
    finally:
        unmount(view)


def unmarked_layer(stack: LayerStack) -> str | None:
    """Return why overlayfs would not show the layers of ``stack`` as they are, None if it does."""
    for layer in stack.layers:
        if layer.record.unmarked:
            return f"{layer.tree}: its file system does not hold the marks of overlayfs"
    return None


def base_lowers_of(
    stack: LayerStack, *, scratch: Path, stand_ins: Iterable[EntryPath] = ()
) -> list[Path]:
    """Return the lower directories of an image, top first: its layers, put right.

    Raises SandboxError for what ``unmarked_layer`` says.
    """
    refusal = unmarked_layer(stack)
    if refusal is not None:
        raise SandboxError(f"mount overlay: {refusal}", hint="--rootfs copy does without overlayfs")
    extra = put_right(stack, scratch / "put-right", stand_ins=stand_ins)
    trees = [layer.tree for layer in reversed(stack.layers)]
    return trees if extra.is_empty else [extra.tree, *trees]


@contextmanager
def overlay_rootfs(
    stack: LayerStack,
    *,
    scratch: Path,
    place: UpperPlace,
    mount_points: Iterable[MountPoint],
    stand_ins: Iterable[EntryPath] = (),
) -> Iterator[OverlayRootfs]:
    """Mount the root of ``stack`` at ``scratch/merged``; unmount it at the end.

    ``stand_ins`` are those of ``put_right``.

    Raises SandboxError if the kernel refuses, or if the tmpfs that
    ``place`` asks for does not serve either (Linux before 6.6).
    """
    writable = scratch / "writable"
    for directory in (writable, scratch / "merged"):
        directory.mkdir()
    with ExitStack() as cleanup:
        if place is UpperPlace.TMPFS:
            mount_tmpfs(writable)
            cleanup.callback(unmount, writable)
            reason = probe_overlay(writable)
            if reason is not None:
                raise SandboxError(
                    f"mount overlay: {scratch}: {reason}",
                    hint="give a --tmpdir on ext4, xfs or btrfs; rootrun doctor shows what works",
                )
        base_lowers = base_lowers_of(stack, scratch=scratch, stand_ins=stand_ins)
        below = ExtraLayer(scratch / "below", stack)
        above = ExtraLayer(scratch / "above", stack)
        lay_mount_points(mount_points, stack, below=below, above=above)
        lowers = [
            *([] if above.is_empty else [above.tree]),
            *base_lowers,
            *([] if below.is_empty else [below.tree]),
        ]
        upper, work = writable / "upper", writable / "work"
        upper.mkdir()
        work.mkdir()
        give_root_metadata(upper, stack)
        rootfs = OverlayRootfs(stack, scratch=scratch, base_lowers=base_lowers)
        if place is UpperPlace.TMPFS:
            rootfs.tmpfs = writable
        mount_overlay(rootfs.root, lowers=lowers or [_empty(scratch)], upper=upper, work=work)
        cleanup.callback(unmount, rootfs.root)
        yield rootfs


def _empty(scratch: Path) -> Path:
    directory = scratch / "empty"
    directory.mkdir(exist_ok=True)
    return directory
