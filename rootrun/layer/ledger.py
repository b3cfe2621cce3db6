"""What is known of a layer while it is unpacked, and becomes its record at the end."""

import os
import stat
from zlib import crc32

from rootrun.errors import LayerError
from rootrun.layer.checksum import (
    MASK,
    NOTHING_HELD,
    Held,
    LinkedFiles,
    entry_checksum,
    visited_checksum,
)
from rootrun.layer.entry import SET_ID_BITS, Entry, EntryPath, EntryType, name_bytes
from rootrun.layer.metadata import has_whiteout
from rootrun.layer.record import LayerRecord, Recorded
from rootrun.layer.walk import Visited
from rootrun.namedtuple import NamedTuple

IMPLIED_MODE = 0o755
_IMPLIED_NAMES_LIMIT_BYTES = 64 << 20


class DirectoryState(NamedTuple):
    """What a directory gets at the end: a child made later would change its time."""

    mode: int
    mtime_s: int


class Ledger:
    """The record in the making; all paths are those in the tree, free of symlinks.

    Holds nothing for an ordinary file, so that a million of them cost no memory.
    A device and a foreign link have a whiteout on the disk as a placeholder, which
    hides what lower layers have there. Where the disk can hold no whiteout, an empty
    file is in its place, and its path in ``unmarked``.
    """

    def __init__(self) -> None:
        self.entries: dict[EntryPath, Recorded] = {}
        self.implicit: set[EntryPath] = set()
        self.opaque: set[EntryPath] = set()
        self.with_xattrs: set[EntryPath] = set()  # the directories that can have any
        self.unmarked: set[EntryPath] = set()  # lack a mark of overlayfs on the disk
        self.foreign_links: dict[EntryPath, EntryPath] = {}
        self.set_ids: set[EntryPath] = set()
        self.directories: dict[EntryPath, DirectoryState] = {}
        self.files = LinkedFiles()
        self.entry_count = self.size_bytes = 0
        self._checksum = 0
        self._implied_bytes = 0

    def add_directory(self, path: EntryPath, *, mode: int, mtime_s: int) -> None:
        """Note a directory that has an entry; it may have been implied before."""
        self.implicit.discard(path)
        self.directories[path] = DirectoryState(mode, mtime_s)

    def imply_directory(self, path: EntryPath) -> None:
        """Note a directory that only the path of another entry asks for.

        Raises LayerError when such paths alone would fill the memory: a name of a few
        kilobytes implies thousands of directories.
        """
        self._implied_bytes += len(path)
        if self._implied_bytes > _IMPLIED_NAMES_LIMIT_BYTES:
            raise LayerError(f"unpack layer: {path[:80]!r}...: too many missing parents")
        self.implicit.add(path)
        self.directories[path] = DirectoryState(IMPLIED_MODE, 0)

    def record(self, path: EntryPath, recorded: Recorded) -> None:
        """Note the truth about a path that the disk misstates."""
        self.entries[path] = recorded
        if recorded.type is EntryType.FILE and recorded.mode & SET_ID_BITS:
            self.set_ids.add(path)

    def add_file(
        self, path: EntryPath, entry: Entry, *, mode: int, content_crc: int, held: Held
    ) -> None:
        """Count a regular file that is on the disk with ``mode``."""
        self.size_bytes += entry.size_bytes
        self._checksum += entry_checksum(
            path,
            st_mode=stat.S_IFREG | mode,
            size_bytes=entry.size_bytes,
            mtime_s=entry.mtime_s,
            content_crc=content_crc,
            held=held,
        )

    def add_special(self, path: EntryPath, entry: Entry, *, st_mode: int, held: Held) -> None:
        """Count a symlink or named pipe that is on the disk."""
        self._checksum += entry_checksum(
            path,
            st_mode=st_mode,
            mtime_s=entry.mtime_s,
            content_crc=crc32(name_bytes(entry.link_target)),
            held=held,
        )

    def add_other(
        self, path: EntryPath, *, st_mode: int, mtime_s: int = 0, held: Held = NOTHING_HELD
    ) -> None:
        """Count a path on the disk that has no content."""
        self._checksum += entry_checksum(path, st_mode=st_mode, mtime_s=mtime_s, held=held)

    def is_deletion(self, visited: Visited) -> bool:
        """Say whether a whiteout is there that is no placeholder."""
        path, _, _, status = visited
        is_placeholder = path in self.entries or path in self.foreign_links
        return has_whiteout(path, status, unmarked=self.unmarked) and not is_placeholder

    def add_visited(self, visited: Visited) -> None:
        """Count a path as the disk has it now."""
        self._checksum += visited_checksum(visited, self.files)

    def forget(self, visited: Visited) -> None:
        """Undo what was noted of a path that is about to be removed."""
        path, _, _, status = visited
        self.entries.pop(path, None)
        self.foreign_links.pop(path, None)
        self.unmarked.discard(path)
        self.set_ids.discard(path)
        if stat.S_ISDIR(status.st_mode):  # is counted at the end only
            del self.directories[path]
            self.implicit.discard(path)
            self.opaque.discard(path)
            return
        self._checksum -= visited_checksum(visited, self.files)
        if status.st_nlink == 1:
            self.files.drop(status.st_ino)

    def freeze(self) -> LayerRecord:
        """Return the record."""
        return LayerRecord(
            entries=self.entries,
            implicit=frozenset(self.implicit),
            opaque=frozenset(self.opaque),
            foreign_links=self.foreign_links,
            unmarked=frozenset(self.unmarked),
            set_ids=frozenset(self.set_ids),
            entry_count=self.entry_count,
            size_bytes=self.size_bytes,
            checksum=self._checksum & MASK,
        )


def visit(path: EntryPath, directory_fd: int, name: str) -> Visited | None:
    """Return ``name`` as the disk has it, None if there is nothing."""
    try:
        return Visited(path, directory_fd, name, os.lstat(name, dir_fd=directory_fd))
    except FileNotFoundError:
        return None
