"""What the disk does not hold of a path of the base, after a run has touched the path.

A file that overlayfs has copied up has the owner, mode and attributes that the disk has for the
base's. What is still the same, the run has not changed, and the truth is the image's.
"""

import os
import stat
from collections.abc import Mapping

from rootrun.dataclass import replace
from rootrun.layer.entry import DEVICE_TYPES, Entry, EntryType
from rootrun.layer.metadata import CAPABILITY, ORIGIN_XATTR


def is_copied_up(status: os.stat_result, base: os.stat_result, *, xattrs: list[str] | None) -> bool:
    """Say whether a path of the upper is the base's own, and not another of the same name.

    ``xattrs`` are the names of its extended attributes, None for what has none of ``user.*``.
    """
    if xattrs is None:
        return status.st_mtime_ns == base.st_mtime_ns  # which copying up keeps
    # Without an index, as in a user namespace, overlayfs leaves no mark on one of several hard
    # links (fs/overlayfs/copy_up.c, "breaking the association with a lower hard link").
    is_linked = not stat.S_ISDIR(base.st_mode) and base.st_nlink > 1
    return is_linked or ORIGIN_XATTR in xattrs


def with_device(entry: Entry, *, base: Entry) -> Entry:
    """Return the device of the base for the base's own empty file that stands for it."""
    if base.type not in DEVICE_TYPES or entry.type is not EntryType.FILE:
        return entry
    return replace(entry, type=base.type, rdev=base.rdev, size_bytes=0, xattrs={})


def with_unheld(
    entry: Entry,
    status: os.stat_result,
    *,
    base: Entry,
    base_status: os.stat_result,
    disk_xattrs: Mapping[str, bytes] | None,
) -> Entry:
    """Return ``entry``, read from a copied-up path, with what the disk could not hold of ``base``.

    ``disk_xattrs`` are the base's own on the disk, None where they are all that it has.
    """
    if (status.st_uid, status.st_gid) == (base_status.st_uid, base_status.st_gid):
        entry = replace(entry, uid=base.uid, gid=base.gid)
    if status.st_mode == base_status.st_mode:
        entry = replace(entry, mode=base.mode)
    if disk_xattrs is not None and dict(entry.xattrs) == disk_xattrs:
        entry = replace(entry, xattrs=base.xattrs)
    return entry


def without_privileges(
    entry: Entry,
    status: os.stat_result,
    *,
    base_status: os.stat_result,
    disk_xattrs: Mapping[str, bytes],
) -> Entry:
    """Return a file that was written or given away without what the kernel then takes from it.

    These are set-id bits and capabilities (chown(2), write(2); root of a user namespace does not
    keep them either). What is on the disk it has taken there; this is about the rest.
    """
    if entry.type is not EntryType.FILE:
        return entry
    taken = stat.S_ISUID
    if entry.mode & stat.S_IXGRP:  # else setgid means mandatory locking, and stays
        taken |= stat.S_ISGID
    if CAPABILITY in entry.xattrs and CAPABILITY not in disk_xattrs:
        left = {name: value for name, value in entry.xattrs.items() if name != CAPABILITY}
        entry = replace(entry, xattrs=left)
    if status.st_mode != base_status.st_mode:  # chmod(2) came later, or took them itself
        return entry
    return replace(entry, mode=entry.mode & ~(taken & ~base_status.st_mode))
