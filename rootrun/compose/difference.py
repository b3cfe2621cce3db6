"""Where the outcomes of two runs differ, said path by path."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from rootrun.compose.suspects import remark_on_content, remark_on_path
from rootrun.layer.diff import Change
from rootrun.layer.entry import Entry, EntryPath, EntryType
from rootrun.layer.reach import reach
from rootrun.layer.whiteout import parse_marker
from rootrun.namedtuple import NamedTuple

_BLOCK = 1 << 20
_SHOWN_BYTES = 28
_BEFORE = 12  # bytes shown of what is still the same: the whole of a time that differs in its end
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Made(NamedTuple):
    """What became of a path."""

    entry: Entry
    digest: bytes = b""  # of a regular file's content
    is_deleted: bool = False


Outcome = Mapping[EntryPath, Made]


class Difference(NamedTuple):
    """A path, and in what it differs; the runs are told apart as first and second."""

    path: EntryPath
    what: str
    remark: str

    def __str__(self) -> str:
        return f"{self.path!r}: {self.what}" + (f" ({self.remark})" if self.remark else "")


def outcome_of(changes: Iterable[Change]) -> Outcome:
    """Return what a run made of the base; the content of files is read and hashed."""
    outcome: dict[EntryPath, Made] = {}
    for change in changes:
        if not change.is_ancestor:
            marker = parse_marker(change.entry.path)
            path = change.entry.path if marker is None else marker.path
            outcome[path] = Made(change.entry, _digest(change), is_deleted=marker is not None)
    return outcome


def differences(
    first: Outcome,
    second: Outcome,
    *,
    uppers: tuple[Path, Path],
    is_in_base: Callable[[EntryPath], bool],
) -> Iterator[Difference]:
    """Yield where they differ, by bytes of the path. ``uppers`` hold the content of both."""
    for path in sorted(first.keys() | second.keys(), key=os.fsencode):
        one, other = first.get(path), second.get(path)
        if one == other:
            continue
        if one is None or other is None or one.is_deleted or other.is_deleted:
            what = _presence(one, other, in_base=is_in_base(path))
            yield Difference(path, what, remark_on_path(path))
            continue
        parts = list(_metadata(one.entry, other.entry))
        remark = remark_on_path(path)
        if one.entry.type is other.entry.type and one.digest != other.digest:
            content = _parting(path, uppers)
            parts.append(str(content))
            remark = remark or remark_on_content(content.one, content.other)
        yield Difference(path, ", ".join(parts), remark)


def _presence(one: Made | None, other: Made | None, *, in_base: bool) -> str:
    deletions = [made is not None and made.is_deleted for made in (one, other)]
    if any(deletions):
        return f"deleted only in the {'first' if deletions[0] else 'second'} run"
    run = "first" if other is None else "second"
    return f"{'changed ' if in_base else ''}only in the {run} run"


def _metadata(before: Entry, after: Entry) -> Iterator[str]:
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


class _Parting(NamedTuple):
    """Where two contents part, and what both have there, from some bytes before."""

    offset: int
    one: bytes
    other: bytes

    def __str__(self) -> str:
        return f"content from byte {self.offset} on: {self.one!r} and {self.other!r}"


def _parting(path: EntryPath, uppers: tuple[Path, Path]) -> _Parting:
    one, other = (_open(upper, path) for upper in uppers)
    try:
        offset = _first_difference(one, other)
        start = max(0, offset - _BEFORE)
        return _Parting(offset, *(os.pread(fd, _SHOWN_BYTES, start) for fd in (one, other)))
    finally:
        os.close(one)
        os.close(other)


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
