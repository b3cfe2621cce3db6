"""Writing a layer tar: one pass, nothing but what the entries say."""

import os
from collections.abc import Callable

from rootrun.dataclass import replace
from rootrun.errors import LayerError
from rootrun.layer.entry import Entry
from rootrun.layer.header import BLOCK_BYTES, USTAR, TarFormat, header_bytes

CHUNK_BYTES = 1 << 20
_READ_BYTES = 1 << 18  # so much is still in the processor's cache when it is hashed and written

_END = bytes(2 * BLOCK_BYTES)


class TarWriter:
    """Writes entries as tar through ``write``, small ones in chunks of about 1 MiB.

    Equal entries and contents make equal bytes. The archive ends with the two
    zero blocks that POSIX asks for, and more up to a whole record of ``tar_format``.
    """

    def __init__(
        self, write: Callable[[bytes | memoryview], object], *, tar_format: TarFormat = USTAR
    ) -> None:
        self._write = write
        self._header_bytes, self._record_bytes = tar_format
        self._flushed_bytes = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def add(self, entry: Entry) -> None:
        """Write an entry that has no content; ValueError if ``size_bytes`` says otherwise."""
        if entry.size_bytes:
            raise ValueError(f"entry has content: {entry.path!r}")
        self._append(self._header_bytes(entry))

    def add_bytes(self, entry: Entry, content: bytes) -> None:
        """Write ``entry`` with ``content``, whose length takes the place of ``size_bytes``."""
        self._append(self._header_bytes(replace(entry, size_bytes=len(content))))
        self._append(content)
        self._pad(len(content))

    def add_file(self, entry: Entry, fd: int) -> None:
        """Write ``entry`` with ``size_bytes`` of the open file ``fd``, from its current offset.

        Raises LayerError if the file ends before; what it has beyond is left out.
        """
        self._append(self._header_bytes(entry))
        self._append_content(entry, fd, entry.size_bytes)
        self._pad(entry.size_bytes)

    def add_sparse(self, entry: Entry, fd: int, parts: list[tuple[int, int]]) -> None:
        """Write ``entry`` with those ``parts`` of the open file ``fd`` that are no holes.

        GNU's format 1.0, which not all read. Raises LayerError as ``add_file`` does.
        """
        from rootrun.layer.sparse import format_1_records, map_bytes  # no layer has one

        text = map_bytes(parts)
        stored_bytes = len(text) + sum(length for _, length in parts)
        stored = replace(entry, size_bytes=stored_bytes)
        self._append(header_bytes(stored, format_1_records(entry.size_bytes)))
        self._append(text)
        for offset, length in parts:
            os.lseek(fd, offset, os.SEEK_SET)
            self._append_content(entry, fd, length)
        self._pad(stored_bytes)

    def _append_content(self, entry: Entry, fd: int, remaining: int) -> None:
        while remaining:
            chunk = os.read(fd, min(remaining, _READ_BYTES))
            if not chunk:
                raise LayerError(f"pack layer: {entry.path!r}: changed while it was read")
            self._append(chunk)
            remaining -= len(chunk)

    def finish(self) -> None:
        """Write the end of the archive, and all that waits for its chunk to fill."""
        self._append(_END)
        self._pad(self._flushed_bytes + self._pending_bytes, to=self._record_bytes)
        self._flush()

    def _pad(self, size_bytes: int, *, to: int = BLOCK_BYTES) -> None:
        if size_bytes % to:
            self._append(bytes(-size_bytes % to))

    def _append(self, content: bytes) -> None:
        is_large = len(content) >= _READ_BYTES
        if is_large:
            self._flush()  # else it would be copied to stand behind what is pending
        self._pending.append(content)
        self._pending_bytes += len(content)
        if is_large or self._pending_bytes >= CHUNK_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._flushed_bytes += self._pending_bytes
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if pending:
            self._write(pending[0] if len(pending) == 1 else b"".join(pending))
