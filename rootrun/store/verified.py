"""Memory of blobs that were read and found to be what their digests say.

A base is hashed once, not in each run: the memory holds for a file as long as
its device, inode, size, mtime and ctime are the same. Making or removing a hard
link of a file gives it a new ctime, so one may differ where the number of links
does. A file that was modified within the last second before it was read is not
remembered, since a later write could leave the same coarse time (the "racy" case
of git's index).
"""

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from rootrun.namedtuple import NamedTuple
from rootrun.sha256 import sha256_of

_RACY_NS = 1_000_000_000


class Stamp(NamedTuple):
    """The identity of a file's content as far as stat(2) tells."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    link_count: int

    def holds_for(self, now: "Stamp") -> bool:
        """Say whether a file with the stamp ``now`` has the content it had with this one."""
        same = self[:4] == now[:4]
        return same and (self.ctime_ns == now.ctime_ns or self.link_count != now.link_count)


class VerifiedBlob(NamedTuple):
    """A range of a file, what it decompresses to, and its own digest."""

    offset: int
    size_bytes: int
    diff_id: str
    digest: str


def stamp_of(path: Path) -> Stamp:
    """Return the stamp of the file that ``path`` leads to."""
    status = os.stat(path)
    return Stamp(
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_nlink,
    )


class VerifiedBlobs:
    """The memory, below ``directory``; one small file for each file that held blobs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def recall(self, path: Path) -> list[VerifiedBlob]:
        """Return what was verified of the file at ``path`` and still holds."""
        try:
            stamp = stamp_of(path)
            known = json.loads(self._memory(stamp).read_bytes())
            if not Stamp(*known["stamp"]).holds_for(stamp):
                return []
            return [VerifiedBlob(*blob) for blob in known["blobs"]]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return []

    def remember(self, path: Path, blobs: Iterable[VerifiedBlob], *, read: Stamp) -> None:
        """Remember ``blobs`` of the file at ``path``, which had the stamp ``read`` when opened.

        Nothing is remembered if the content may have changed since. Failing to
        write is no failure of the run.
        """
        try:
            now = stamp_of(path)
            if not read.holds_for(now) or time.time_ns() - now.mtime_ns < _RACY_NS:
                return
            text = json.dumps({"stamp": now, "blobs": sorted(set(blobs))}, separators=(",", ":"))
            memory = self._memory(now)
            temporary = memory.with_name(f".{memory.name}.{os.getpid()}")
            temporary.write_text(text)
            os.replace(temporary, memory)
        except OSError:
            return

    def _memory(self, stamp: Stamp) -> Path:
        name = sha256_of(f"{stamp.device}:{stamp.inode}".encode())[:32]
        return self._directory / name
