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
    path = _usual_path(name)
    if path is None:
        path = clean_name(name)
        if ".." in path and ".." in path.split("/"):
            raise UnsafeEntryError(f"unpack layer: {_shown(name)!r}: leaves the rootfs")
    check_length(path)
    return EntryPath(path)


def _usual_path(name: bytes) -> str | None:
    """Return the path of a name that has nothing to clean but ``./`` before and ``/`` behind it."""
    if name.startswith(b"./"):
        name = name[2:]
    # So no part of it is empty, and none but those told here begins with a dot.
    if name[:1] in _TO_CLEAN or b"//" in name or b"/." in name or b"\0" in name:
        return None
    return fs_decode(name[:-1] if name.endswith(b"/") else name)


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
