"""What a service has written: the last megabytes of it, in files of the machine's scratch."""

import os
from contextlib import suppress
from pathlib import Path

LONGEST_BYTES = 8 << 20  # of what is kept; at least half of it once something was dropped
_TAIL_BYTES = 1 << 15


class ServiceLog:
    """Two files that replace each other; none is open between two calls."""

    def __init__(self, directory: Path, number: int, *, longest_bytes: int = LONGEST_BYTES) -> None:
        self._older = directory / f"service-{number}.0"
        self._newer = directory / f"service-{number}.1"
        self._room_bytes = longest_bytes // 2
        self._older_bytes = 0
        self._newer_bytes = 0
        self.total_bytes = 0
        self.dropped_bytes = 0

    def append(self, chunk: bytes) -> None:
        """Write ``chunk``; what finds no room on the disk is counted as dropped."""
        self.total_bytes += len(chunk)
        if self._newer_bytes + len(chunk) > self._room_bytes:
            self._turn()
        try:
            with open(self._newer, "ab", buffering=0) as file:
                written = file.write(chunk) or 0
        except OSError:
            written = 0
        self._newer_bytes += written
        self.dropped_bytes += len(chunk) - written

    def open(self) -> list[int]:
        """Return descriptors of what there is, oldest first: the caller's to close."""
        found: list[int] = []
        for path in (self._older, self._newer):
            with suppress(FileNotFoundError):
                found.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return found

    def tail(self) -> str:
        """Return the end of it, some hundred lines."""
        content = b""
        for fd in self.open():
            with open(fd, "rb") as file:
                file.seek(max(0, os.fstat(fd).st_size - _TAIL_BYTES))
                content += file.read(_TAIL_BYTES)
        return content[-_TAIL_BYTES:].decode(errors="backslashreplace")

    def _turn(self) -> None:
        self.dropped_bytes += self._older_bytes
        with suppress(OSError):  # nothing was written, for want of room
            os.replace(self._newer, self._older)
        self._older_bytes, self._newer_bytes = self._newer_bytes, 0
