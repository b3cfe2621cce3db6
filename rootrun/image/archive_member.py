"""The members of an image archive: each has a header of one block, and is root's, old and 0644."""

from rootrun.dataclass import replace
from rootrun.layer.entry import Entry, EntryPath, EntryType
from rootrun.layer.header import BLOCK_BYTES, header_bytes

_MTIME_S = 1
_MAX_OCTAL = 0o77777777777


def member_header(entry: Entry) -> bytes:
    """Return the header of a member, always one block, so that offsets do not depend on sizes.

    A size that ustar cannot say is a base-256 number, as GNU tar writes it and
    all readers know it, where a layer's own entries have a PAX record.
    """
    if entry.size_bytes <= _MAX_OCTAL:
        return header_bytes(entry)
    from rootrun.layer.gnu_header import with_large_numbers  # few archives hold such a blob

    return with_large_numbers(header_bytes(replace(entry, size_bytes=0)), entry)


def file_member(name: str, size_bytes: int) -> Entry:
    """Return the entry of a file."""
    return Entry(
        path=EntryPath(name),
        type=EntryType.FILE,
        mode=0o644,
        mtime_s=_MTIME_S,
        size_bytes=size_bytes,
    )


def symlink_member(name: str, target: str) -> Entry:
    """Return the entry of a symlink."""
    return Entry(
        path=EntryPath(name),
        type=EntryType.SYMLINK,
        mode=0o777,
        mtime_s=_MTIME_S,
        link_target=target,
    )


def directory_member(name: str) -> Entry:
    """Return the entry of a directory."""
    return Entry(path=EntryPath(name), type=EntryType.DIRECTORY, mode=0o755, mtime_s=_MTIME_S)


def padded(size_bytes: int) -> int:
    """Return how much room a content takes."""
    return size_bytes + -size_bytes % BLOCK_BYTES
