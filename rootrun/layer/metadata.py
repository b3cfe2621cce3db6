"""The metadata of a path on disk, as an entry: what tar can say of it."""

import errno
import os
import stat
import struct
from collections.abc import Container, Mapping

from rootrun.errors import LayerError
from rootrun.layer.entry import Entry, EntryPath, EntryType, entry_type, is_kept_xattr

OPAQUE_XATTR = "user.overlay.opaque"
"""Hides what lower layers have in a directory (overlayfs.rst, whiteouts and opaque directories)."""

ORIGIN_XATTR = "user.overlay.origin"
"""Is on what was copied up, and lets a directory's listing leave out its whiteouts (see Nodes)."""

CAPABILITY = "security.capability"
# struct vfs_ns_cap_data, linux/capability.h: revision and flags, two pairs of words, root id.
_REVISION_MASK = 0xFF000000
_REVISION_2 = 0x02000000
_REVISION_3 = 0x03000000
_SIZE_2 = 20
# What mknod(2) says where there can be no whiteout: on overlayfs, and before Linux 5.8 in a user
# namespace EPERM, elsewhere what file systems without devices say.
_NO_WHITEOUT = frozenset({errno.EPERM, errno.EINVAL, errno.ENOTSUP})


def portable_capability(value: bytes) -> bytes:
    """Return a file capability without the root id of a namespace (capabilities(7)).

    The kernel stores revision 3 for a writer in a user namespace and hands out
    revision 2 inside it; other readers see the id, which means nothing elsewhere.
    """
    if len(value) < _SIZE_2:
        return value
    (magic,) = struct.unpack_from("<I", value)
    if magic & _REVISION_MASK != _REVISION_3:
        return value
    return struct.pack("<I", magic & ~_REVISION_MASK | _REVISION_2) + value[4:_SIZE_2]


def kept_xattrs(descriptor: int) -> dict[str, bytes]:
    """Return the extended attributes of an open file that a layer keeps, by name.

    Raises LayerError where a seccomp filter lets nobody read what is there.
    """
    values = {}
    for name in sorted(os.listxattr(descriptor)):
        if is_kept_xattr(name):
            value = _read_xattr(descriptor, name)
            values[name] = portable_capability(value) if name == CAPABILITY else value
    return values


def _read_xattr(descriptor: int, name: str) -> bytes:
    try:
        return os.getxattr(descriptor, name)
    except OSError as error:
        # Nix 2.26 refuses getxattr(2). What is unpacked under its filter has none to read.
        if error.errno != errno.ENOTSUP:
            raise
        raise LayerError(
            f"read extended attribute: {name}: {error.strerror}",
            hint="a seccomp filter refuses it, as in a Nix build: give --no-cache",
        ) from error


def entry_of(
    path: EntryPath,
    status: os.stat_result,
    *,
    link_target: str = "",
    xattrs: Mapping[str, bytes] | None = None,
) -> Entry:
    """Return ``status`` (of lstat) as the entry ``path``; a socket is an AssertionError."""
    kind = entry_type(status.st_mode)
    if kind is None:
        raise AssertionError(f"a socket is no entry: {path!r}")
    is_device = kind in (EntryType.CHARACTER_DEVICE, EntryType.BLOCK_DEVICE)
    return Entry(
        path=path,
        type=kind,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_s=max(0, int(status.st_mtime)),
        size_bytes=status.st_size if kind is EntryType.FILE else 0,
        link_target=link_target,
        rdev=(os.major(status.st_rdev), os.minor(status.st_rdev)) if is_device else (0, 0),
        xattrs=xattrs or {},
    )


def is_whiteout(status: os.stat_result) -> bool:
    """Say whether overlayfs takes this for a deletion (overlayfs.rst: character device 0:0)."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def has_whiteout(
    path: EntryPath, status: os.stat_result, *, unmarked: Container[EntryPath]
) -> bool:
    """Say whether an unpacked layer has a whiteout at ``path``, whose lstat(2) is ``status``.

    In ``unmarked`` are the whiteouts for which there is an empty file (``LayerRecord``).
    """
    return is_whiteout(status) or (path in unmarked and not stat.S_ISDIR(status.st_mode))


def make_whiteout(name: str | os.PathLike[str], *, directory_fd: int | None = None) -> bool:
    """Make what ``is_whiteout`` tells of; False where the file system or the kernel refuses."""
    try:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory_fd)
    except OSError as error:
        if error.errno not in _NO_WHITEOUT:
            raise
        return False
    return True
