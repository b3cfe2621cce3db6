"""Paths of a store as entries of a layer, and their sizes before any of them is read.

Of a store a layer keeps types, contents, modes and link targets, which is what Nix keeps; not
owners, times, attributes and hard links, which differ from one machine to the next.
"""

import os
import stat
from collections.abc import Iterable, Iterator

from rootrun.compose.layered.graph import StorePath
from rootrun.dataclass import replace
from rootrun.errors import LayerError
from rootrun.layer.cursor import Cursor
from rootrun.layer.diff import Change
from rootrun.layer.entry import (
    ROOT,
    Entry,
    EntryPath,
    EntryType,
    ancestors,
    entry_type,
    name_bytes,
)
from rootrun.layer.header import BLOCK_BYTES, header_bytes
from rootrun.layer.member import padded
from rootrun.layer.metadata import entry_of
from rootrun.layer.policy import LayerPolicy
from rootrun.namedtuple import NamedTuple

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_DIRECTORY_MODE = 0o755  # of the store and what is above it, whatever it is on this machine
_KINDS = (EntryType.FILE, EntryType.DIRECTORY, EntryType.SYMLINK)
_PLAIN_NAME_BYTES = 99  # with a slash behind it a name still fits into one block of a header
_PLAIN_FILE_BYTES = 0o77777777777
_PLAIN_ID = 0o7777777
END_BYTES = 2 * BLOCK_BYTES
"""What a tar ends with."""


class Found(NamedTuple):
    """A path of a tree; ``directory_fd`` is good until the next one is asked for."""

    path: EntryPath
    directory_fd: int
    name: str
    status: os.stat_result
    link_target: str


class Measure(NamedTuple):
    """What a tree takes: in the tar of a layer, and in a Nix archive (NAR)."""

    tar_bytes: int
    archive_bytes: int


def walk_sorted(top_fd: int, top: EntryPath, names: Iterable[str]) -> Iterator[Found]:
    """Yield ``names`` of the directory ``top_fd``, whose path is ``top``, and all below them.

    The order is that of layers: depth first, by the bytes of the names. Raises LayerError for what
    no store holds: anything but files, directories and symlinks.
    """
    with Cursor(top_fd, top) as here:
        waiting = [_last_first(names)]
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if waiting:
                    here.leave()
                continue
            found = _found(here, waiting[-1].pop())
            yield found
            if stat.S_ISDIR(found.status.st_mode):
                here.enter(found.name)
                waiting.append(_last_first(os.listdir(here.fd)))


def parents_of(store: str) -> tuple[EntryPath, ...]:
    """Return what is above the directory ``store``, from the top, and that itself."""
    below = EntryPath(store.lstrip("/"))
    return (*ancestors(below), below)


def store_changes(
    paths: Iterable[StorePath],
    *,
    store: str,
    policy: LayerPolicy,
    found_above: Iterable[Entry] = (),
) -> Iterator[tuple[Found | None, Change]]:
    """Yield the entries of a layer of ``paths``, with what was found: the store, then these.

    The store and what is above it, of which nothing is told, are ``found_above`` or 0755.
    """
    known = {entry.path: entry for entry in found_above}
    for parent in parents_of(store):
        made = Entry(path=parent, type=EntryType.DIRECTORY, mode=_DIRECTORY_MODE)
        if parent in known:
            yield None, Change(replace(known[parent], mtime_s=policy.mtime_s))
        else:
            yield None, Change(_rewritten(made, policy))
    store_fd = os.open(store, _OPEN_DIRECTORY)
    try:
        names = [path.rpartition("/")[2] for path in paths]
        for found in walk_sorted(store_fd, EntryPath(store.lstrip("/")), names):
            yield found, _change(found, policy)
    finally:
        os.close(store_fd)


def tree_changes(tree: str, *, policy: LayerPolicy) -> Iterator[Change]:
    """Yield the entries of a layer of all that is in the directory ``tree``."""
    tree_fd = os.open(tree, _OPEN_DIRECTORY)
    try:
        for found in walk_sorted(tree_fd, ROOT, os.listdir(tree_fd)):
            yield _change(found, policy)
    finally:
        os.close(tree_fd)


def parents_bytes(store: str, policy: LayerPolicy, found_above: Iterable[Entry] = ()) -> int:
    """Return what the store and the directories above it take in a layer."""
    changes = store_changes((), store=store, policy=policy, found_above=found_above)
    return sum(len(header_bytes(change.entry)) for _, change in changes)


def measure(path: StorePath, *, store_fd: int, policy: LayerPolicy) -> Measure:
    """Return what ``path`` takes, whose store is open as ``store_fd``. Reads no content."""
    directory, _, name = path.rpartition("/")
    tar_bytes, archive_bytes = 0, _text_bytes(len("nix-archive-1"))
    for found in walk_sorted(store_fd, EntryPath(directory.lstrip("/")), [name]):
        tar_bytes += _header_bytes(found, policy)
        archive_bytes += _node_bytes(found)
        if stat.S_ISREG(found.status.st_mode):
            tar_bytes += padded(found.status.st_size)
    # The archive does not have the name of its top, nor what an entry of a directory has around it.
    return Measure(tar_bytes, archive_bytes - _entry_bytes(name))


def tree_bytes(tree: str, *, policy: LayerPolicy) -> int:
    """Return the size of the tar that ``tree_changes`` makes."""
    return END_BYTES + sum(
        len(header_bytes(change.entry)) + padded(change.entry.size_bytes)
        for change in tree_changes(tree, policy=policy)
    )


def _last_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=name_bytes, reverse=True)


def _found(here: Cursor, name: str) -> Found:
    status = os.lstat(name, dir_fd=here.fd)
    path = EntryPath(f"{here.path}/{name}" if here.path else name)
    if entry_type(status.st_mode) not in _KINDS:
        raise LayerError(f"pack layer: {path!r}: not a file, directory or symlink")
    is_link = stat.S_ISLNK(status.st_mode)
    target = os.readlink(name, dir_fd=here.fd) if is_link else ""
    return Found(path, here.fd, name, status, target)


def _change(found: Found, policy: LayerPolicy) -> Change:
    return Change(_entry(found, policy), found.directory_fd, found.name)


def _entry(found: Found, policy: LayerPolicy) -> Entry:
    entry = entry_of(found.path, found.status, link_target=found.link_target)
    return _rewritten(entry, policy)


def _rewritten(entry: Entry, policy: LayerPolicy) -> Entry:
    # The policy's owner is 0:0 unless one is given: whose a file is on this machine says nothing.
    return replace(entry, uid=policy.uid, gid=policy.gid, mtime_s=policy.mtime_s)


def _header_bytes(found: Found, policy: LayerPolicy) -> int:
    """Return the size of an entry's header; most are one block, which needs no making of it."""
    is_plain = (
        len(name_bytes(found.path)) <= _PLAIN_NAME_BYTES
        and len(name_bytes(found.link_target)) <= _PLAIN_NAME_BYTES
        and found.status.st_size <= _PLAIN_FILE_BYTES
        and max(policy.uid, policy.gid) <= _PLAIN_ID
        and policy.mtime_s <= _PLAIN_FILE_BYTES
    )
    return BLOCK_BYTES if is_plain else len(header_bytes(_entry(found, policy)))


def _node_bytes(found: Found) -> int:
    """Return what a path takes in a Nix archive, as an entry of a directory.

    The format is that of the thesis "The purely functional software deployment model", figure 5.2:
    texts, each with its length before it and zeros behind it.
    """
    mode = found.status.st_mode
    if stat.S_ISREG(mode):
        own = _FILE_BYTES + _text_bytes(found.status.st_size)
        if mode & stat.S_IXUSR:
            own += _EXECUTABLE_BYTES
    elif stat.S_ISLNK(mode):
        own = _SYMLINK_BYTES + _text_bytes(len(name_bytes(found.link_target)))
    else:
        own = _DIRECTORY_BYTES
    return own + _entry_bytes(found.name)


def _entry_bytes(name: str) -> int:
    return _ENTRY_BYTES + _text_bytes(len(name_bytes(name)))


def _words_bytes(*words: str) -> int:
    return sum(_text_bytes(len(word)) for word in words)


def _text_bytes(length: int) -> int:
    return 8 + length + -length % 8


_FILE_BYTES = _words_bytes("(", "type", "regular", "contents", ")")
_EXECUTABLE_BYTES = _words_bytes("executable", "")
_SYMLINK_BYTES = _words_bytes("(", "type", "symlink", "target", ")")
_DIRECTORY_BYTES = _words_bytes("(", "type", "directory", ")")
_ENTRY_BYTES = _words_bytes("entry", "(", "name", "node", ")")
