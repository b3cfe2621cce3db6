"""The names in a tar: what they are inside the rootfs, and which are refused."""

from rootrun.errors import LayerError, UnsafeEntryError
from rootrun.layer.entry import EntryPath, fs_decode, name_bytes

PATH_LIMIT_BYTES = 4095
"""PATH_MAX of Linux without the NUL: a longer path is of no use to any program."""

_TO_CLEAN = frozenset({b"", b".", b"/"})


def clean_name(name: bytes) -> str:
    """Return ``name`` without leading slashes and without empty and ``.`` components.

    ``..`` stays. Raises LayerError for an empty name and one with a NUL.
    """
    if not name or b"\0" in name:
        raise LayerError(f"read tar: {name[:80]!r}: is not a name")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    return fs_decode(b"/".join(parts))


def entry_path(name: bytes) -> EntryPath:
    """Return the path in the rootfs that ``name`` means; absolute names are of the rootfs.

    Raises UnsafeEntryError for a name with ``..``, also where it would end inside:
    no tool writes such names.
    """
    rest = name[2:] if name[:2] == b"./" else name
    if rest[:1] in _TO_CLEAN or b"//" in rest or b"/." in rest or b"\0" in rest:
        path = clean_name(name)
        if ".." in path and ".." in path.split("/"):
            raise UnsafeEntryError(f"unpack layer: {_shown(name)!r}: leaves the rootfs")
    else:  # so no part is empty or begins with a dot: the usual names take no longer way
        path = fs_decode(rest[:-1] if rest[-1:] == b"/" else rest)
    check_length(path)
    return EntryPath(path)


def check_length(path: str) -> None:
    """Raise LayerError if ``path`` is longer than the kernel takes."""
    if len(path) * 4 > PATH_LIMIT_BYTES and len(name_bytes(path)) > PATH_LIMIT_BYTES:
        raise LayerError(f"unpack layer: {path[:80]!r}...: the path is too long")


def symlink_target(target: bytes, *, of: EntryPath) -> str:
    """Return the target of a symlink, verbatim; LayerError if none can have it."""
    if not target or b"\0" in target:
        raise LayerError(f"read tar: {of!r}: is a symlink to no name: {target[:80]!r}")
    return fs_decode(target)


def _shown(name: bytes) -> str:
    return fs_decode(name if len(name) <= 256 else name[:256] + b"...")
