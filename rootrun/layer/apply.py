"""Unpacking a layer into the form that overlayfs wants as a lower directory.

The tree has whiteouts as character devices 0:0 and opaque directories with an
extended attribute (overlayfs.rst); what a disk cannot hold is in the record.
Everything is done on an open directory and one name in it, so that no name in
the layer can reach anything outside.
"""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rootrun.errors import LayerError, UnsafeEntryError
from rootrun.layer.attributes import Owners
from rootrun.layer.directories import finish_directories
from rootrun.layer.entry import ROOT, Entry, EntryPath, EntryType
from rootrun.layer.hardlinks import HardLinks
from rootrun.layer.ledger import Ledger
from rootrun.layer.marks import MarkedDirectories, replace_unmarked
from rootrun.layer.nodes import Nodes
from rootrun.layer.place import Ground, Place
from rootrun.layer.record import IdRanges, LayerRecord
from rootrun.layer.source import Readable
from rootrun.layer.tar_reader import TarReader
from rootrun.layer.whiteout import Marker, MarkerKind, parse_marker

_FILE = EntryType.FILE


def apply_layer(
    stream: Readable,
    *,
    tree_fd: int,
    ids: IdRanges,
    redirects: Mapping[EntryPath, EntryPath],
    marked_directories: MarkedDirectories | None = None,
) -> LayerRecord:
    """Unpack one uncompressed layer into the empty directory ``tree_fd``; return its record.

    Entries below a missing directory that is a key of ``redirects`` go below the
    key's value instead. Owners outside of ``ids`` are only recorded.
    ``marked_directories`` is for a place where setxattr(2) is refused; what marks
    it cannot make either are only recorded. Raises
    LayerError for what cannot be unpacked, UnsafeEntryError for what would leave
    the tree; the tree is of no use then. Bytes behind the end of the tar may be
    left in ``stream``.
    """
    ledger, owners = Ledger(), Owners(ids)
    at = ROOT
    try:
        with (
            _no_umask(),
            Ground(tree_fd, redirects=redirects, ledger=ledger, owners=owners) as ground,
        ):
            ground.prepare_root(tree_fd)
            reader = TarReader(stream)
            unpacker = _Unpacker(reader, ground, ledger, owners)
            for entry in reader:
                at = entry.path
                unpacker.place(entry)
            if marked_directories is not None:
                replace_unmarked(tree_fd, ledger, marked_directories)
            finish_directories(tree_fd, ledger)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LayerError(
            f"unpack layer: {at!r}: {error.strerror or error}",
            hint="--cache-dir puts unpacked layers on another file system" if is_full else None,
        ) from error
    return ledger.freeze()


@contextmanager
def _no_umask() -> Iterator[None]:
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


class _Unpacker:
    """Takes the entries of one layer in their order to where they belong."""

    def __init__(self, reader: TarReader, ground: Ground, ledger: Ledger, owners: Owners) -> None:
        self._reader = reader
        self._ground = ground
        self._ledger = ledger
        self._nodes = Nodes(ground, ledger, owners)
        self._links = HardLinks(ground, ledger, self._nodes)

    def place(self, entry: Entry) -> None:
        """Unpack ``entry``, whose content is what the reader stands before."""
        self._ledger.entry_count += 1
        path = entry.path
        marker = parse_marker(path)
        if marker is not None:
            self._obey(marker)
        elif not path:
            self._place_root(entry)
        elif entry.type is _FILE:
            self._nodes.file(self._ground.place_of(path), entry, self._reader)
        else:
            self._make(self._ground.place_of(path), entry)

    def _obey(self, marker: Marker) -> None:
        if marker.kind is MarkerKind.OPAQUE:
            self._ground.mark_opaque(self._ground.directory_of(marker.path))
        elif marker.kind is MarkerKind.WHITEOUT:
            self._nodes.whiteout(self._ground.place_of(marker.path))

    def _place_root(self, entry: Entry) -> None:
        if entry.type is not EntryType.DIRECTORY:
            raise UnsafeEntryError("unpack layer: './': changes the type of the root")
        self._nodes.adorn_directory(self._ground.directory_of(ROOT), entry)

    def _make(self, place: Place, entry: Entry) -> None:
        if entry.type is EntryType.DIRECTORY:
            self._nodes.directory(place, entry)
        elif entry.type is EntryType.SYMLINK:
            self._nodes.symlink(place, entry)
        elif entry.type is EntryType.HARDLINK:
            self._links.link(place, entry)
        elif entry.type is EntryType.FIFO:
            self._nodes.fifo(place, entry)
        else:
            self._nodes.device(place, entry)
