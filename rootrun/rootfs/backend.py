"""The scratch root of a run: what every backend offers, and which one is chosen."""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from rootrun.layer.compare import DiffNotes, Ownership
from rootrun.layer.diff import Change
from rootrun.layer.entry import EntryPath
from rootrun.layer.policy import LayerPolicy
from rootrun.layer.stack import LayerStack
from rootrun.rootfs.mount_points import MountPoint
from rootrun.rootfs.overlay import UpperPlace, overlay_rootfs
from rootrun.sandbox.overlay import probe_overlay
from rootrun.store.trust import boot_id

log = logging.getLogger(__name__)


class Rootfs(Protocol):
    """The merged root of a run, writable, whose changes can be told."""

    backend: str
    root: Path  # where it is mounted
    upper: Path  # where what is changed stands on the disk

    def changes(
        self, policy: LayerPolicy, notes: DiffNotes, ownership: Ownership | None = None
    ) -> Iterator[Change]:
        """Yield what was changed since it was made, in the order of a layer.

        Nothing of the run may be alive any more. ``ownership`` knows what the disk does not hold.
        """


def open_rootfs(
    stack: LayerStack,
    *,
    scratch: Path,
    memory: Path,
    mount_points: Iterable[MountPoint],
    stand_ins: Iterable[EntryPath] = (),
) -> AbstractContextManager[Rootfs]:
    """Make the root of ``stack`` below ``scratch`` by the best backend.

    The script sees an empty file for each device of the image that is at one of ``stand_ins``.

    The choice is logged with its reason. ``memory`` is a file that keeps what
    was probed, for this boot. Raises SandboxError if no backend works here.
    """
    reason = _probed(scratch, memory)
    if reason is None:
        log.info("rootfs: overlay, upper on the disk of %s", scratch.parent)
        place = UpperPlace.SCRATCH
    else:
        log.info("rootfs: overlay, upper on a tmpfs, since on %s: %s", scratch.parent, reason)
        place = UpperPlace.TMPFS
    return overlay_rootfs(
        stack, scratch=scratch, place=place, mount_points=mount_points, stand_ins=stand_ins
    )


def _probed(scratch: Path, memory: Path) -> str | None:
    """Return why an upper on the file system of ``scratch`` would not do, None if it does."""
    device = str(os.stat(scratch).st_dev)
    known = _recall(memory)
    if device in known:
        return known[device]
    reason = probe_overlay(scratch)
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
