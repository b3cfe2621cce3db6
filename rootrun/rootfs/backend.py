"""The scratch root of a run: what every backend offers, and which one is chosen."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from rootrun import log
from rootrun.annotation import Protocol
from rootrun.errors import SandboxError
from rootrun.layer.compare import DiffNotes, Ownership
from rootrun.layer.diff import Change
from rootrun.layer.entry import EntryPath
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.stack import LayerStack
from rootrun.rootfs.mount_points import MountPoint
from rootrun.rootfs.overlay import UpperPlace, overlay_rootfs, unmarked_layer
from rootrun.sandbox.overlay import mount_tmpfs, probe_overlay, unmount
from rootrun.store.trust import boot_id

AUTO, OVERLAY, COPY = "auto", "overlay", "copy"
ON_TMPFS = "on tmpfs"
_TMPFS = "tmpfs"  # among the file systems of the probe's memory


class Rootfs(Protocol):
    """The merged root of a run, writable, whose changes can be told."""

    backend: str
    root: Path  # where it is
    upper: Path  # where what is changed stands on the disk; of a copy, all
    tmpfs: Path | None  # the one that ``upper`` is on, None for a disk

    def changes(
        self, policy: LayerPolicy, notes: DiffNotes, ownership: Ownership | None = None
    ) -> Iterator[Change]:
        """Yield what was changed since it was made, in the order of a layer.

        Nothing of the run may be alive any more, or go on meanwhile. ``ownership`` knows what the
        disk does not hold.
        """

    def base_files(self, paths: Iterable[EntryPath]) -> Iterable[tuple[EntryPath, int, int]] | None:
        """Return path, inode number and birth time of the base's own files at ``paths``.

        What is not there any more, or is another file by now, is left out; the run may be on. None
        where ``upper`` holds no file of the base until it is changed.
        """


def open_rootfs(
    stack: LayerStack,
    *,
    scratch: Path,
    memory: Path,
    mount_points: Iterable[MountPoint],
    stand_ins: Iterable[EntryPath] = (),
    wanted: str = AUTO,
) -> AbstractContextManager[Rootfs]:
    """Make the root of ``stack`` below ``scratch`` by the ``wanted`` backend, or the best.

    The script sees an empty file for each device of the image that is at one of ``stand_ins``.

    ``wanted`` ON_TMPFS is AUTO, but with the upper of an overlay on a tmpfs, where that works. The
    choice is logged with its reason. ``memory`` is a file that keeps what
    was probed, for this boot. Raises SandboxError if the backend does not work here.
    """
    place = None
    unmarked = unmarked_layer(stack) if wanted in (AUTO, ON_TMPFS) else None
    if wanted == COPY:
        log.info("rootfs: copy, on the disk of %s, as asked for", scratch.parent)
    elif unmarked is not None:
        log.info("rootfs: copy, on the disk of %s, since overlay: %s", scratch.parent, unmarked)
    elif wanted == ON_TMPFS and _tmpfs_refusal(scratch, memory) is None:
        log.info("rootfs: overlay, upper on a tmpfs")
        place = UpperPlace.TMPFS
    else:
        place = _upper_place(scratch, memory, must_serve=wanted == OVERLAY)
    if place is not None:
        return overlay_rootfs(
            stack, scratch=scratch, place=place, mount_points=mount_points, stand_ins=stand_ins
        )
    from rootrun.rootfs.copy import copy_rootfs  # few need it, and a warm run is short

    return copy_rootfs(stack, scratch=scratch, mount_points=mount_points, stand_ins=stand_ins)


def _upper_place(scratch: Path, memory: Path, *, must_serve: bool) -> UpperPlace | None:
    """Return where an overlay can have its upper, None for nowhere; SandboxError if it must."""
    on_disk = _probed(file_system_of(scratch), memory, lambda: probe_overlay(scratch))
    if on_disk is None:
        log.info("rootfs: overlay, upper on the disk of %s", scratch.parent)
        return UpperPlace.SCRATCH
    on_tmpfs = _tmpfs_refusal(scratch, memory)
    if on_tmpfs is None:
        log.info("rootfs: overlay, upper on a tmpfs, since on %s: %s", scratch.parent, on_disk)
        return UpperPlace.TMPFS
    if must_serve:
        raise SandboxError(
            f"--rootfs overlay: {on_disk}; with a tmpfs: {on_tmpfs}",
            hint="--rootfs copy does without overlayfs; rootrun doctor shows what works",
        )
    log.info(
        "rootfs: copy, on the disk of %s, since overlay: %s; with a tmpfs: %s",
        *(scratch.parent, on_disk, on_tmpfs),
    )
    return None


def file_system_of(directory: Path) -> str:
    """Return what tells the file system of ``directory`` from all others of this boot.

    The numbers of those without a disk are given again once they are unmounted; the ids of tmpfs
    and many others never are (statvfs(3)).
    """
    return f"{os.stat(directory).st_dev}-{os.statvfs(directory).f_fsid:x}"


def _tmpfs_refusal(scratch: Path, memory: Path) -> str | None:
    """Return why an upper on a tmpfs would not do, None if it does."""
    # The lowers of the probe are on the tmpfs too: what a tmpfs can do is the same everywhere.
    return _probed(_TMPFS, memory, lambda: _probe_tmpfs(scratch))


def _probe_tmpfs(scratch: Path) -> str | None:
    """Return why an upper on a tmpfs would not do, None if it does."""
    place = scratch / "tmpfs-probe"
    place.mkdir()
    try:
        mount_tmpfs(place)
        try:
            return probe_overlay(place)
        finally:
            unmount(place)
    except OSError as error:
        return f"mount tmpfs: {error.strerror}"
    finally:
        place.rmdir()


def _probed(device: str, memory: Path, probe: Callable[[], str | None]) -> str | None:
    """Return what ``probe`` says of a device, or has said in this boot."""
    known = _recall(memory)
    if device in known:
        return known[device]
    reason = probe()
    try:
        temporary = memory.with_name(f".{memory.name}.{os.getpid()}")
        known[device] = reason
        temporary.write_text(json.dumps({"boot": boot_id(), "devices": known}))
        os.replace(temporary, memory)
    except OSError as error:
        log.debug("cannot remember the overlay probe: %s", error)
    return reason


def _recall(memory: Path) -> dict[str, str | None]:
    try:
        known = json.loads(memory.read_bytes())
        if known["boot"] == boot_id():
            return {str(device): reason for device, reason in known["devices"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return {}
