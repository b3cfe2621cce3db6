"""Where the outcomes of two runs differ, said path by path."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from rootrun.layer.diff import Change
from rootrun.layer.entry import Entry, EntryPath, EntryType
from rootrun.layer.reach import reach

_BLOCK = 1 << 20
_SHOWN_BYTES = 24
_BEFORE = 8  # bytes shown of what is still the same
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What installing packages leaves behind, and what to do about it.
_SUSPECTS = (
    (r"var/cache/ldconfig/", "ldconfig's cache has inode numbers and times: remove it"),
    (r".*\.pyc", "compiled Python has its source's time: PYTHONDONTWRITEBYTECODE=1 leaves it out"),
    (r"var/log/", "a log: empty or remove it"),
    (r"var/lib/apt/|var/cache/apt/", "apt's lists and caches: apt-get clean, or remove them"),
    (r"var/cache/debconf/", "debconf's cache: remove the -old files"),
    (r"var/cache/man/", "the index of manual pages has times: remove it"),
    (r"var/cache/fontconfig/", "fontconfig's cache has times: remove it"),
    (r"etc/(g?shadow|passwd|group)-?", "the day of a password's change: set SOURCE_DATE_EPOCH"),
    (r"etc/ssh/ssh_host_", "a key of this host: remove it, and make it at the first start"),
    (r"etc/machine-id|var/lib/dbus/machine-id", "the id of this machine: empty it"),
    (r"etc/ssl/private/", "a key of this host: remove it"),
    (r"(tmp|var/tmp|run)/", "a temporary file: remove it, or mount a --tmpfs there"),
    (r".*\.(gz|tgz|zip|jar)", "archives have times: gzip -n, or SOURCE_DATE_EPOCH"),
)


class Made(NamedTuple):
    """A path of an outcome."""

    entry: Entry
    digest: bytes  # of a regular file's content, else empty


Outcome = Mapping[EntryPath, Made]


class Difference(NamedTuple):
    """A path, and in what it differs; the runs are told apart as first and second."""

    path: EntryPath
    what: str
    remark: str

    def __str__(self) -> str:
        return f"{self.path!r}: {self.what}" + (f" ({self.remark})" if self.remark else "")


def outcome_of(changes: Iterable[Change]) -> Outcome:
    """Return what a run made; the content of files is read and hashed."""
    return {change.entry.path: Made(change.entry, _digest(change)) for change in changes}


def differences(
    first: Outcome, second: Outcome, *, uppers: tuple[Path, Path]
) -> Iterator[Difference]:
    """Yield where they differ, by bytes of the path. ``uppers`` hold the content of both."""
    for path in sorted(first.keys() | second.keys(), key=os.fsencode):
        one, other = first.get(path), second.get(path)
        if one is None or other is None:
            yield Difference(
                path, f"only in the {'first' if other is None else 'second'} run", _remark(path)
            )
        elif one != other:
            yield Difference(path, ", ".join(_parts(path, one, other, uppers)), _remark(path))


def _remark(path: EntryPath) -> str:
    return next((remark for pattern, remark in _SUSPECTS if re.match(pattern, path)), "")


def _parts(path: EntryPath, one: Made, other: Made, uppers: tuple[Path, Path]) -> Iterator[str]:
    before, after = one.entry, other.entry
    if before.type is not after.type:
        yield f"{before.type.name.lower()} and {after.type.name.lower()}"
        return
    if before.mode != after.mode:
        yield f"mode {before.mode:o} and {after.mode:o}"
    if (before.uid, before.gid) != (after.uid, after.gid):
        yield f"owner {before.uid}:{before.gid} and {after.uid}:{after.gid}"
    if before.link_target != after.link_target:
        yield f"target {before.link_target!r} and {after.link_target!r}"
    if before.rdev != after.rdev:
        yield f"device {before.rdev} and {after.rdev}"
    if before.xattrs != after.xattrs:
        names = {*before.xattrs.items()} ^ {*after.xattrs.items()}
        yield f"attributes {', '.join(sorted({name for name, _ in names}))}"
    if one.digest != other.digest:
        yield _content(path, uppers)


def _content(path: EntryPath, uppers: tuple[Path, Path]) -> str:
    one, other = (_open(upper, path) for upper in uppers)
    try:
        offset = _first_difference(one, other)
        start = max(0, offset - _BEFORE)
        shown = [os.pread(fd, _SHOWN_BYTES, start) for fd in (one, other)]
    finally:
        os.close(one)
        os.close(other)
    return f"content from byte {offset} on: {shown[0]!r} and {shown[1]!r}"


def _first_difference(one: int, other: int) -> int:
    offset = 0
    while True:
        left, right = (os.pread(fd, _BLOCK, offset) for fd in (one, other))
        if left != right:
            pairs = enumerate(zip(left, right, strict=False))
            return offset + next((n for n, (a, b) in pairs if a != b), min(len(left), len(right)))
        if not left:
            return offset
        offset += len(left)


def _digest(change: Change) -> bytes:
    if change.entry.type is not EntryType.FILE or not change.name:
        return b""
    fd = os.open(change.name, _OPEN_FILE, dir_fd=change.directory_fd)
    with open(fd, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _open(upper: Path, path: EntryPath) -> int:
    with reach(os.fspath(upper), path) as (directory_fd, name):
        return os.open(name, _OPEN_FILE, dir_fd=directory_fd)
