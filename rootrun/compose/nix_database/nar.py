"""The Nix archive (NAR) of a path: what the hash of a store path is made of.

As the Nix manual has it (Store Object, Nix Archive): strings with their length before them, padded
to 8 bytes; of a file its content and whether its owner may execute it, of a symlink its target, of
a directory its names, sorted by bytes. Owners, times and other modes do not count.
"""

import hashlib
import os
import stat
from collections.abc import Iterator

from rootrun.layer.cursor import Cursor
from rootrun.layer.entry import name_bytes
from rootrun.namedtuple import NamedTuple

_BLOCK = 1 << 20
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Nar(NamedTuple):
    """A Nix archive, by what identifies it."""

    sha256: str  # hexadecimal
    size_bytes: int


def nar_of(name: str, *, directory_fd: int) -> Nar:
    """Return the archive of ``name`` in ``directory_fd``; all of it is read, nothing kept.

    Raises OSError, and ValueError for what an archive cannot hold: a device, fifo or socket.
    """
    digest = hashlib.sha256()
    size_bytes = 0
    for piece in _pieces(name, directory_fd):
        digest.update(piece)
        size_bytes += len(piece)
    return Nar(digest.hexdigest(), size_bytes)


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(8, "little") + content + _padding(len(content))


def _padding(size_bytes: int) -> bytes:
    return bytes(-size_bytes % 8)


def _words(*words: bytes) -> bytes:
    return b"".join(_string(word) for word in words)


_BEGIN = _words(b"nix-archive-1")
_OPEN = _words(b"(")
_CLOSE = _words(b")")
_DIRECTORY = _words(b"(", b"type", b"directory")
_SYMLINK = _words(b"(", b"type", b"symlink", b"target")
_REGULAR = _words(b"(", b"type", b"regular")
_EXECUTABLE = _words(b"executable", b"")
_CONTENTS = _words(b"contents")
_ENTRY = _words(b"entry", b"(", b"name")
_NODE = _words(b"node")


def _pieces(top: str, directory_fd: int) -> Iterator[bytes]:
    yield _BEGIN
    # Of each directory on the way the names that are left, the next one last; without recursion,
    # since trees can be deeper than that of Python.
    waiting = [[top]]
    with Cursor(directory_fd) as here:
        while waiting:
            if not waiting[-1]:
                waiting.pop()
                if waiting:  # a directory ends, and but for the top its entry
                    here.leave()
                    yield _CLOSE
                    yield _CLOSE if len(waiting) > 1 else b""
                continue
            name = waiting[-1].pop()
            is_entry = len(waiting) > 1
            if is_entry:
                yield _ENTRY + _string(name_bytes(name)) + _NODE
            status = os.lstat(name, dir_fd=here.fd)
            if stat.S_ISDIR(status.st_mode):
                here.enter(name)
                waiting.append(sorted(os.listdir(here.fd), key=name_bytes, reverse=True))
                yield _DIRECTORY
                continue
            yield from _leaf(name, status, here.fd)
            yield _CLOSE if is_entry else b""


def _leaf(name: str, status: os.stat_result, directory_fd: int) -> Iterator[bytes]:
    if stat.S_ISLNK(status.st_mode):
        yield _SYMLINK + _string(os.fsencode(os.readlink(name, dir_fd=directory_fd)))
    elif stat.S_ISREG(status.st_mode):
        yield _REGULAR + (_EXECUTABLE if status.st_mode & stat.S_IXUSR else b"") + _CONTENTS
        yield from _content(name, directory_fd)
    else:
        raise ValueError(f"{name!r} is no file, directory or symlink")
    yield _CLOSE


def _content(name: str, directory_fd: int) -> Iterator[bytes]:
    fd = os.open(name, _OPEN_FILE, dir_fd=directory_fd)
    try:
        size_bytes = os.fstat(fd).st_size
        yield size_bytes.to_bytes(8, "little")
        left = size_bytes
        while left and (block := os.read(fd, min(left, _BLOCK))):
            left -= len(block)
            yield block
        yield _padding(size_bytes)
    finally:
        os.close(fd)
